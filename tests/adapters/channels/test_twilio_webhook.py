"""Twilio's posts in our terms."""

import pytest

from cardwatch.adapters.channels.twilio_errors import REFUSALS
from cardwatch.adapters.channels.twilio_webhook import delivery_report, inbound_text
from cardwatch.domain.message import MessageState
from cardwatch.domain.provider_post import DeliveryReport, InboundText


def test_an_inbound_post_becomes_a_text() -> None:
    """Sid, both numbers and body are taken; media and whatever is added unannounced are not."""
    fields = [
        ("MessageSid", "SM1"),
        ("From", "+12025550101"),
        ("To", "+12025550199"),
        ("Body", " yes "),
        ("NumMedia", "1"),
        ("New", ""),
    ]
    assert inbound_text(fields) == InboundText(
        message_id="SM1", phone="+12025550101", own_number="+12025550199", body=" yes "
    )
    assert inbound_text([field for field in fields if field[0] != "Body"]) is not None


@pytest.mark.parametrize("missing", ["MessageSid", "From", "To"])
def test_a_post_without_sid_or_numbers_is_none(missing: str) -> None:
    """It cannot be matched or told apart from a repetition."""
    fields = {"MessageSid": "SM1", "From": "+12025550101", "To": "+12025550199", "Body": "YES", missing: ""}
    assert inbound_text(fields.items()) is None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("accepted", MessageState.ACCEPTED),
        ("scheduled", MessageState.ACCEPTED),
        ("queued", MessageState.ACCEPTED),
        ("sending", MessageState.ACCEPTED),
        ("sent", MessageState.SENT),
        ("partially_delivered", MessageState.SENT),
        ("delivered", MessageState.DELIVERED),
        ("read", MessageState.DELIVERED),
    ],
)
def test_every_good_status_is_known(status: str, state: MessageState) -> None:
    """Twilio's statuses in our states."""
    fields = [("MessageSid", "SM1"), ("MessageStatus", status)]
    assert delivery_report(fields, message_id="m") == DeliveryReport(message_id="m", provider_sid="SM1", state=state)


@pytest.mark.parametrize("code", [30003, 30005, 30006, 30007, 30008, 30034, 30036, 21610, 99999])
def test_a_failure_carries_its_code_and_word(code: int) -> None:
    """An expired validity ends as expired, an opt-out is marked, an unknown code is kept."""
    fields = [("MessageSid", "SM1"), ("MessageStatus", "undelivered"), ("ErrorCode", str(code))]
    told = delivery_report(fields, message_id="m")
    assert told is not None
    assert told.error == f"{code} {REFUSALS[code].word if code in REFUSALS else 'refused'}"
    assert told.state is (MessageState.EXPIRED if code == 30036 else MessageState.UNDELIVERED)
    assert told.opted_out is (code == 21610)


@pytest.mark.parametrize("fields", [{}, {"MessageSid": "SM1"}, {"MessageSid": "SM1", "MessageStatus": "dancing"}])
def test_a_callback_that_says_nothing_known_is_none(fields: dict[str, str]) -> None:
    """New statuses are ignored, not guessed."""
    assert delivery_report(fields.items(), message_id="m") is None
