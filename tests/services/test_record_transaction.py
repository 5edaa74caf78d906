"""A payment is taken in once, with the context of its account, before anyone hears of it."""

from typing import Any

import msgspec
import pytest

from cardwatch.adapters.clock import SeededRandomness
from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import PutAccount
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.money import Money
from cardwatch.domain.place import Place
from cardwatch.domain.submission import Submission
from cardwatch.domain.times import MINUTE_MS, format_instant
from cardwatch.domain.transaction import Status
from cardwatch.services.record_transaction import Recorded, Recording, new_transaction_id, record_transaction
from tests.builders import NOW_MS, make_account, make_place


class OneTown:
    """A gazetteer that knows Seattle."""

    def resolve(self, text: str, *, country: str | None = None) -> Place | None:
        """Find Seattle."""
        return make_place() if text.startswith("Seattle") and country in (None, "US") else None


def record(store: MemoryStore, *, now_ms: int = NOW_MS, **fields: Any) -> Recorded:
    """Record a payment with other fields than an everyday one's."""
    body = {"user_id": "user_001", "amount": "21.40", "merchant": "Corner Cafe", "transaction_id": "txn_1", **fields}
    submission = msgspec.convert({k: v for k, v in body.items() if v is not None}, Submission)
    return record_transaction(
        submission, store=store, gazetteer=OneTown(), randomness=SeededRandomness(), now_ms=now_ms
    )


def store_with(**account: Any) -> MemoryStore:
    """Return a store that knows user_001."""
    store = MemoryStore()
    assert store.apply([PutAccount(make_account(**account))]) is None
    return store


def test_new_payment_is_pending_in_the_accounts_context() -> None:
    """Currency, offset and place are those of the moment, and stay."""
    recorded = record(store_with(currency="EUR", time_zone="Europe/Berlin"), location="Seattle, WA")
    payment = recorded.record.transaction
    assert (recorded.recording, recorded.record.status) == (Recording.NEW, Status.PENDING)
    assert (payment.amount, payment.account_currency) == (Money(2140, "EUR"), "EUR")
    assert (payment.utc_offset_s, payment.place) == (7200, make_place())
    assert (payment.timestamp_ms, payment.received_at_ms) == (NOW_MS, NOW_MS)


def test_same_again_later_is_the_same() -> None:
    """A defaulted timestamp is no part of the content."""
    store = store_with()
    first = record(store)
    again = record(store, now_ms=NOW_MS + 60_000, amount="21.4")
    assert again.recording is Recording.SAME
    assert again.record == first.record


@pytest.mark.parametrize(
    "other", [{"amount": "21.41"}, {"merchant": "Corner Café"}, {"currency": "USD"}, {"user_id": "user_002"},
              {"timestamp": format_instant(NOW_MS)}, {"metadata": {"a": "b"}}],
)  # fmt: skip
def test_same_id_with_other_content_is_a_conflict(other: dict[str, Any]) -> None:
    """Nothing is changed by it, and no account is made for it."""
    store = store_with()
    first = record(store)
    conflict = record(store, **other)
    assert conflict.recording is Recording.CONFLICT
    assert conflict.record == first.record
    assert [account.user_id for account in store.accounts(limit=9)] == ["user_001"]


def test_unknown_user_gets_an_account_without_contact() -> None:
    """The payment is taken; nobody can be asked about it."""
    store = MemoryStore()
    assert record(store, user_id="stranger").recording is Recording.NEW
    account = store.account("stranger")
    assert account is not None
    assert (account.phone_number, account.consent, account.currency, account.version) == (None, False, "USD", 1)


@pytest.mark.parametrize(
    ("currency", "amount", "minor"), [("JPY", "21", 21), ("KWD", "21.401", 21_401), ("USD", "21.40", 2140)]
)
def test_decimals_are_those_of_the_accounts_currency(currency: str, amount: str, minor: int) -> None:
    """Where the payment names none."""
    recorded = record(store_with(currency=currency), amount=amount)
    assert recorded.record.transaction.amount == Money(minor, currency)


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "21.40"), ("KWD", "21.4011"), ("USD", "21.401")])
def test_more_decimals_than_the_accounts_currency_has_are_refused(currency: str, amount: str) -> None:
    """And nothing is stored."""
    store = store_with(currency=currency)
    with pytest.raises(InvalidInput, match="/amount"):
        record(store, amount=amount)
    assert store.transaction("txn_1") is None


def test_payments_own_currency_wins() -> None:
    """A payment abroad keeps what was paid."""
    recorded = record(store_with(), amount="2100", currency="JPY")
    assert recorded.record.transaction.amount == Money(2100, "JPY")
    assert recorded.record.transaction.account_currency == "USD"


def test_clock_ahead_by_five_minutes_is_taken_and_by_more_refused() -> None:
    """Five minutes, to the millisecond."""
    record(store_with(), timestamp=format_instant(NOW_MS + 5 * MINUTE_MS))
    with pytest.raises(InvalidInput, match="/timestamp"):
        record(store_with(), timestamp=format_instant(NOW_MS + 5 * MINUTE_MS + 1))


def test_coordinates_win_over_words() -> None:
    """A place that was sent exactly is not looked up."""
    recorded = record(store_with(), location="Seattle, WA", latitude=1.0, longitude=2.0)
    place = recorded.record.transaction.place
    assert place is not None
    assert (place.latitude, place.longitude) == (1.0, 2.0)


def test_unknown_location_is_kept_without_a_place() -> None:
    """The words stay; no place is made up."""
    payment = record(store_with(), location="Unknown Location").record.transaction
    assert (payment.location, payment.place) == ("Unknown Location", None)


def test_merchant_without_id_is_known_by_its_name() -> None:
    """Case and spaces do not make another merchant."""
    store = store_with()
    keys = {record(store, transaction_id=f"t{n}", merchant=name).record.transaction.merchant_id
            for n, name in enumerate(["Corner Cafe", "CORNER  CAFE", " corner cafe "])}  # fmt: skip
    assert keys == {"corner cafe"}


def test_ids_made_here_sort_by_time() -> None:
    """And differ within a millisecond."""
    randomness = SeededRandomness()
    ids = [new_transaction_id(randomness, NOW_MS + n // 2 * 1000) for n in range(200)]
    assert sorted(ids, key=lambda made: made[:16]) == ids
    assert len(set(ids)) == 200
    assert all(len(made) <= 64 for made in ids)


def test_the_same_again_is_found_before_the_account_is_looked_at() -> None:
    """A retry gets the stored payment, although its amount would not fit the account's new currency."""
    store = store_with()
    assert record(store, amount="12.50", metadata={}).recording is Recording.NEW
    account = make_account(currency="JPY", version=2)
    assert store.apply([PutAccount(account)]) is None
    assert record(store, amount="12.50").recording is Recording.SAME
