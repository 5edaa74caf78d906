"""Two submissions are the same exactly when their content is; every fault of one is named."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.submission import Submission, check_submission

PAYMENT: dict[str, Any] = {"user_id": "user_001", "amount": "1500.00", "merchant": "Corner Cafe"}
OTHERS: dict[str, Any] = {
    "user_id": "user_002",
    "amount": "1500.01",
    "merchant": "corner cafe",
    "transaction_id": "txn_1",
    "currency": "USD",
    "location": "Seattle, WA",
    "latitude": 47.6,
    "longitude": -122.3,
    "country": "US",
    "merchant_id": "m_1",
    "category": "food",
    "mcc": "5411",
    "merchant_latitude": 1.0,
    "merchant_longitude": 1.0,
    "timestamp": "2026-01-01T00:00:00Z",
    "channel": "online",
    "device_id": "d_1",
    "ip": "203.0.113.9",
    "card": "tok_1",
    "metadata": {"basket": "7"},
}


def submission(**fields: Any) -> Submission:
    """Decode a payment with other fields, as the edge does."""
    return msgspec.json.decode(json.dumps({**PAYMENT, **fields}), type=Submission)


def test_every_field_is_tried() -> None:
    """A field that is added must be added to the tests of the fingerprint."""
    assert set(OTHERS) == set(Submission.__struct_fields__)


@pytest.mark.parametrize("field", sorted(OTHERS))
def test_other_content_has_another_fingerprint(field: str) -> None:
    """No field is left out of the comparison."""
    assert submission(**{field: OTHERS[field]}).fingerprint() != submission().fingerprint()


@given(st.integers(1, 10**12), st.integers(0, 12))
def test_writing_of_the_amount_does_not_matter(minor: int, zeros: int) -> None:
    """As a number, as text, with more zeros, with an exponent: the same again."""
    plain = f"{Decimal(minor).scaleb(-2):f}"
    raw = json.dumps(PAYMENT).replace('"1500.00"', plain)
    writings = [plain, plain + "0" * zeros, f"{minor}E-2", f"{minor}e-2", f"+{plain}", f"00{plain}"]
    prints = {submission(amount=writing).fingerprint() for writing in writings}
    prints.add(msgspec.json.decode(raw, type=Submission).fingerprint())
    assert len(prints) == 1


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_another_amount_is_another_payment(first: int, second: int) -> None:
    """Amounts that differ by any unit never share a fingerprint."""
    prints = {submission(amount=f"{minor}E-2").fingerprint() for minor in (first, second)}
    assert len(prints) == len({first, second})


@given(st.permutations(sorted(OTHERS)))
def test_order_of_fields_does_not_matter(order: list[str]) -> None:
    """Members of a JSON object have no order."""
    raw = json.dumps({name: OTHERS[name] for name in order})
    assert msgspec.json.decode(raw, type=Submission).fingerprint() == submission(**OTHERS).fingerprint()


def test_order_of_metadata_does_not_matter() -> None:
    """Nor have those of metadata."""
    first, second = submission(metadata={"a": "1", "b": "2"}), submission(metadata={"b": "2", "a": "1"})
    assert first.fingerprint() == second.fingerprint()


def test_text_does_not_move_between_fields() -> None:
    """The same texts in other fields are another payment."""
    assert submission(category="x").fingerprint() != submission(channel="x").fingerprint()


def test_all_faults_are_named_at_once() -> None:
    """A sender mends everything in one go."""
    faulty = submission(
        amount="0", currency="XXX", merchant=" ", latitude=1, timestamp="x", ip="x", card="4111111111111111"
    )
    with pytest.raises(InvalidInput) as refused:
        check_submission(faulty)
    pointers = [problem.pointer for problem in refused.value.problems]
    assert pointers == ["/amount", "/currency", "/merchant", "/longitude", "/timestamp", "/ip", "/card"]


@pytest.mark.parametrize("field", ["card", "merchant", "location", "device_id", "category", "channel", "merchant_id"])
def test_card_number_is_refused_in_every_text(field: str) -> None:
    """Wherever a text may stand, a card number may not."""
    with pytest.raises(InvalidInput, match=f"/{field}: holds a full card number"):
        check_submission(submission(**{field: "4111 1111 1111 1111"}))


@pytest.mark.parametrize("card", ["1111", "tok_4111111111111111x", "**** **** **** 1111", "411111******1111"])
def test_token_or_last_four_is_taken_as_card(card: str) -> None:
    """What the field is meant for passes."""
    check_submission(submission(card=card))


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::1", "::ffff:192.0.2.1"])
def test_address_of_either_kind_is_taken(address: str) -> None:
    """IPv4 and IPv6."""
    check_submission(submission(ip=address))
