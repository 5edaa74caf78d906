"""Twilio's posts in our terms."""

import base64
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.adapters.channels.twilio.errors import REFUSALS
from cardwatch.adapters.channels.twilio.signature import parse_form, sign, verify
from cardwatch.adapters.channels.twilio.webhook import decode_body, delivery_report, inbound_text
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


CALLBACK_CODES = [*sorted(code for code in REFUSALS if code >= 30_000), 21610, 99999]


@pytest.mark.parametrize("code", CALLBACK_CODES)
def test_a_failure_carries_its_code_and_word(code: int) -> None:
    """An expired validity ends as expired, an opt-out is marked, an unknown code is kept."""
    fields = [("MessageSid", "SM1"), ("MessageStatus", "undelivered"), ("ErrorCode", str(code))]
    told = delivery_report(fields, message_id="m")
    assert told is not None
    assert told.error == f"{code} {REFUSALS[code].word if code in REFUSALS else 'refused'}"
    assert told.state is (MessageState.EXPIRED if code == 30036 else MessageState.UNDELIVERED)
    assert told.opted_out is (code == 21610)
    assert told.once_more is (code in {30001, 30003, 30008})
    assert told.alarm is (code in {30002, 30007, 30032, 30034})


@pytest.mark.parametrize("code", ["", "0", "-1", "thirty", "٣٠٠٠٣", "9" * 40])
def test_a_failure_without_a_readable_code_is_final(code: str) -> None:
    """It failed; nothing more is known."""
    told = delivery_report([("MessageSid", "SM1"), ("MessageStatus", "failed"), ("ErrorCode", code)], message_id="m")
    assert told is not None
    assert told.state is MessageState.FAILED
    assert (told.opted_out, told.once_more, told.alarm) == (False, False, False)


@pytest.mark.parametrize("fields", [{}, {"MessageSid": "SM1"}, {"MessageSid": "SM1", "MessageStatus": "dancing"}])
def test_a_callback_that_says_nothing_known_is_none(fields: dict[str, str]) -> None:
    """New statuses are ignored, not guessed."""
    assert delivery_report(fields.items(), message_id="m") is None


@given(st.binary(max_size=200))
def test_a_gateways_body_is_the_body_that_was_posted(body: bytes) -> None:
    """Encoded or not; bytes that are no text only come encoded."""
    encoded = base64.b64encode(body)
    assert decode_body(encoded.decode(), is_base64=True) == body
    assert decode_body(encoded, is_base64=True) == body
    assert decode_body(body, is_base64=False) == body


@given(st.text(max_size=100))
def test_a_gateways_text_is_kept(body: str) -> None:
    """Whatever a JSON event can carry, half surrogate pairs included."""
    raw = decode_body(body, is_base64=False)
    assert raw is not None
    assert raw.decode("utf-8", "surrogatepass") == body


@pytest.mark.parametrize("body", ["Body=YES", "QQ", "QQ=", "Q", "QUI=\n", "Q Q=", "Qé==", "\ud800", "=", "QUI==QUI="])
def test_a_body_that_is_not_base64_is_refused(body: str) -> None:
    """Never guessed: a body that was altered has no signature."""
    assert decode_body(body, is_base64=True) is None


@given(st.text(max_size=30), st.booleans())
def test_no_body_raises(body: str, is_base64: bool) -> None:
    """Anybody can post anything."""
    decode_body(body, is_base64=is_base64)
    assert decode_body(None, is_base64=is_base64) == b""


def test_an_encoded_post_is_authentic() -> None:
    """The whole way of a gateway that takes forms for binary."""
    url, token = "https://abc123.execute-api.us-east-2.amazonaws.com", "12345"
    fields = [("Body", "Sí & é"), ("From", "+12025550101"), ("To", "+12025550199"), ("MessageSid", "SM1")]
    body = decode_body(base64.b64encode(urlencode(fields).encode()).decode(), is_base64=True)
    form = parse_form(body or b"")
    assert form == tuple(fields)
    path = "/prod/webhook/twilio"
    signed = sign(url + path, fields, token=token)
    assert verify(public_url=url, raw_path_and_query=path, body_params=form or (), signature=signed, tokens=[token])


@pytest.mark.parametrize(
    ("given", "kept"), [("STOP", "stop"), ("START", "start"), ("HELP", "help"), ("X", None), ("", None)]
)
def test_the_providers_own_keywords_are_kept(given: str, kept: str | None) -> None:
    """Advanced Opt-Out knows words that no list of ours has."""
    text = inbound_text([("MessageSid", "SM1"), ("From", "+1"), ("To", "+2"), ("Body", "BASTA"), ("OptOutType", given)])
    assert text is not None
    assert text.keyword == kept
