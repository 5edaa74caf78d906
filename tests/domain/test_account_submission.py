"""An account is taken only with contacts that can work."""

import json
from typing import Any

import msgspec
import pytest

from cardwatch.domain.account_submission import AccountSubmission, check_account_submission, parse_phone_number
from cardwatch.domain.errors import InvalidInput


def faults(**fields: Any) -> list[str]:
    """Return the pointers that the check of an account names."""
    submission = msgspec.json.decode(json.dumps(fields), type=AccountSubmission)
    try:
        check_account_submission(submission, "user_001")
    except InvalidInput as error:
        return [problem.pointer for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("+12065550100", "+12065550100"),
        ("+1 (206) 555-0100", "+12065550100"),
        ("+1.206.555.0100", "+12065550100"),
        ("+49 151 23456789", "+4915123456789"),
        ("+44 7911 123456", "+447911123456"),
    ],
)
def test_number_is_kept_in_e164(text: str, e164: str) -> None:
    """However people write it."""
    assert parse_phone_number(text) == e164


@pytest.mark.parametrize(
    "text",
    ["", "2065550100", "+1", "+1206555010", "+120655501000", "+1 800 FLOWERS", "+12065550100x5", "+999123456789",
     "+1206555\u0660100", "tel:+12065550100", "+12065550100\n", "+1" + "2" * 40],
)  # fmt: skip
def test_number_that_cannot_be_is_refused(text: str) -> None:
    """Extensions, letters, other scripts, numbers that no plan gives out."""
    with pytest.raises(ValueError, match=r"^(must be|is not)"):
        parse_phone_number(text)


def test_empty_account_is_taken() -> None:
    """Nothing is required."""
    assert faults() == []


@pytest.mark.parametrize("email", ["ada@example.com", "a.b+c@mail.example.org", "ü@example.com", "o'neil@ex-ample.co"])
def test_plausible_address_is_taken(email: str) -> None:
    """Whether it exists only a message would tell."""
    assert faults(email=email) == []


@pytest.mark.parametrize(
    "email",
    ["ada", "@example.com", "ada@example", "ada@@example.com", "a b@example.com", "ada@exa_mple.com",
     "ada@example.com\n",
     "a\u0000b@example.com", "a\u007fb@example.com", "a" * 65 + "@example.com", "4111111111111111@example.com"],
)  # fmt: skip
def test_implausible_address_is_refused(email: str) -> None:
    """Control characters and card numbers among them."""
    assert faults(email=email) == ["/email"]


def test_every_fault_is_named() -> None:
    """All at once, each at its place."""
    found = faults(user_id="user_002", name="4111111111111111", phone_number="+1", email="x", time_zone="x",
                   currency="XXX", home={"latitude": 1}, channels=["sms", "fax"])  # fmt: skip
    assert found == [
        "/user_id",
        "/name",
        "/phone_number",
        "/email",
        "/time_zone",
        "/currency",
        "/home/longitude",
        "/channels/1",
    ]


@pytest.mark.parametrize(
    "push",
    [
        {"fcm_token": "a" * 40 + "\n"},
        {"endpoint": "https://fcm.googleapis.com/x", "p256dh": "B" * 87 + "\n", "auth": "a" * 22},
        {"endpoint": "https://fcm.googleapis.com/x", "p256dh": "B" * 87, "auth": "a" * 22 + "\n"},
    ],
)
def test_push_target_with_a_line_break_at_its_end_is_refused(push: dict[str, str]) -> None:
    """It goes into a request to the push service."""
    with pytest.raises(msgspec.ValidationError, match="matching regex"):
        faults(push=push)
