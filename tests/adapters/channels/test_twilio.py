"""The Twilio channel by the official SDK, against a fake Twilio over real HTTP."""

import logging
import socket
from collections.abc import Iterator

import msgspec
import pytest

from cardwatch.adapters.channels.twilio import TwilioChannel
from cardwatch.adapters.channels.twilio_errors import REFUSALS
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageState
from cardwatch.ports import NotSent, Sent, UnknownSent
from tests.builders import PHONE, make_message
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio, Fault, running_twilio

LONG_AGO_MS = 1_500_000_000_000
"""When the tests' texts were made: before anything that the fake lists, whose times are real."""


@pytest.fixture
def twilio() -> Iterator[FakeTwilio]:
    """Serve a fake Twilio."""
    with running_twilio() as fake:
        yield fake


def channel_to(url: str, *, now_ms: int = LONG_AGO_MS, token: str | None = None, **options: object) -> TwilioChannel:
    """Return a channel that talks to the fake, impatiently."""
    return TwilioChannel(
        account_sid=ACCOUNT_SID,
        auth_token=token or AUTH_TOKEN,
        own_number="+12025550199",
        clock=FixedClock(now_ms),
        api_url=url,
        timeout_s=0.5,
        **options,  # type: ignore[arg-type]
    )


def question(**fields: object) -> Message:
    """Return a question made long ago that has 60 seconds to live."""
    usual: dict[str, object] = {"created_at_ms": LONG_AGO_MS, "expires_at_ms": LONG_AGO_MS + 60_500}
    return msgspec.structs.replace(make_message(), **{**usual, **fields})


def test_a_text_is_created_with_all_that_twilio_needs(twilio: FakeTwilio) -> None:
    """Receiver, sender, body, remaining life in seconds, and a callback that carries our id."""
    channel = channel_to(twilio.url, status_callback_url="https://cardwatch.example/webhook/twilio/status")
    message = question(message_id="txn/1:challenge&x")
    assert channel.send(message) == Sent(twilio.texts[0].sid)
    method, path, fields = twilio.requests[0]
    assert (method, path) == ("POST", f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json")
    assert fields == {
        "To": PHONE,
        "From": "+12025550199",
        "Body": message.body,
        "ValidityPeriod": "60",
        "StatusCallback": "https://cardwatch.example/webhook/twilio/status?message=txn%2F1%3Achallenge%26x",
    }


def test_a_claim_that_waited_too_long_is_given_back_unsent(twilio: FakeTwilio) -> None:
    """Sent at the end of its lease, a text could be looked up before it arrived, and go out twice."""
    channel = channel_to(twilio.url)
    claimed = question(state=MessageState.SENDING, due_at_ms=LONG_AGO_MS + 999)
    assert channel.send(claimed) == NotSent("claim ran out before it was sent", retryable=True)
    assert twilio.requests == []
    assert isinstance(channel.send(msgspec.structs.replace(claimed, due_at_ms=LONG_AGO_MS + 1_000)), Sent)


@pytest.mark.parametrize(("left_ms", "validity"), [(-5, "1"), (999, "1"), (1_800_000, "1800"), (10**9, "36000")])
def test_validity_is_the_remaining_life_within_twilios_limits(twilio: FakeTwilio, left_ms: int, validity: str) -> None:
    """A text that can no longer be answered is not delivered."""
    channel_to(twilio.url).send(question(expires_at_ms=LONG_AGO_MS + left_ms))
    assert twilio.texts[0].fields["ValidityPeriod"] == validity


def test_a_messaging_service_sends_in_place_of_a_number(twilio: FakeTwilio) -> None:
    """A sender id that starts with MG is a service."""
    channel_to(twilio.url).send(question(own_address="MG" + "2" * 32))
    assert "From" not in twilio.texts[0].fields
    assert twilio.texts[0].fields["MessagingServiceSid"] == "MG" + "2" * 32


@pytest.mark.parametrize("code", sorted(code for code in REFUSALS if code < 30_000 and code not in {20003, 20429}))
def test_every_refusal_of_the_table_is_judged(twilio: FakeTwilio, code: int) -> None:
    """A 4xx was not taken; code and our word are kept, Twilio's sentence with the number in it is not."""
    twilio.create_faults.append(Fault(status=400, code=code))
    refused = channel_to(twilio.url).send(question())
    meaning = REFUSALS[code]
    assert refused == NotSent(f"{code} {meaning.word}", retryable=meaning.retryable, opted_out=meaning.opted_out)
    assert twilio.texts == []


def test_an_opted_out_number_is_told_apart(twilio: FakeTwilio) -> None:
    """21610 is the holder's STOP, kept by Twilio."""
    twilio.opted_out.add(PHONE)
    assert channel_to(twilio.url).send(question()) == NotSent("21610 opted out", retryable=False, opted_out=True)


@pytest.mark.parametrize("fault", [Fault(status=429, code=20429), Fault(status=429)])
def test_too_many_requests_may_be_tried_again(twilio: FakeTwilio, fault: Fault) -> None:
    """Twilio documents 429 as not processed."""
    twilio.create_faults.append(fault)
    refused = channel_to(twilio.url).send(question())
    assert isinstance(refused, NotSent)
    assert refused.retryable


def test_a_wrong_token_is_final(twilio: FakeTwilio) -> None:
    """No retry mends a configuration."""
    refused = channel_to(twilio.url, token="wrong").send(question())
    assert isinstance(refused, NotSent)
    assert (refused.error.split()[0], refused.retryable) == ("20003", False)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500, code=20500, takes=True),
        Fault(status=502),
        Fault(status=503, takes=True),
        Fault(delay_s=1.2),
        Fault(drop=True, takes=True),
        Fault(status=200, code=1, takes=True),
    ],
    ids=["500", "502 page", "503 taken", "slow", "dropped", "unreadable"],
)
def test_no_clear_answer_is_unknown_and_can_be_looked_up(twilio: FakeTwilio, fault: Fault) -> None:
    """Timeouts, 5xx and closed connections may or may not have been taken; the list says which."""
    channel = channel_to(twilio.url)
    message = question()
    twilio.create_faults.append(fault)
    assert isinstance(channel.send(message), UnknownSent)
    found = channel.find(message)
    assert found == (Sent(twilio.texts[0].sid) if twilio.texts else None)
    assert bool(twilio.texts) is (fault.takes or fault.delay_s > 0)


def test_a_dead_provider_has_certainly_not_taken_the_text() -> None:
    """Where no connection came about it is safe to try again; a look-up cannot be answered."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    channel = channel_to(url)
    assert channel.send(question()) == NotSent("no connection", retryable=True)
    with pytest.raises(OperatingError):
        channel.find(question())


def test_a_text_is_found_by_receiver_body_and_time(twilio: FakeTwilio) -> None:
    """Neither another body, nor another phone, nor an older text of the same words is ours."""
    channel = channel_to(twilio.url)
    channel.send(question())
    assert channel.find(question()) == Sent(twilio.texts[0].sid)
    assert channel.find(question(body="Another question")) is None
    assert channel.find(question(phone="+12025550177")) is None
    just_made_ms = int(twilio.texts[0].created.timestamp() * 1000) + 600_000
    assert channel.find(question(created_at_ms=just_made_ms)) is None


def test_a_trial_accounts_sentence_does_not_hide_a_text(twilio: FakeTwilio) -> None:
    """Twilio puts a sentence before the body of trial accounts."""
    channel = channel_to(twilio.url)
    channel.send(question())
    twilio.texts[0].fields["Body"] = "Sent from your Twilio trial account - " + question().body
    assert channel.find(question()) == Sent(twilio.texts[0].sid)


@pytest.mark.parametrize(
    "fault", [Fault(status=500), Fault(delay_s=1.2), Fault(drop=True), Fault(status=429, code=20429)]
)
def test_a_look_up_without_an_answer_says_so(twilio: FakeTwilio, fault: Fault) -> None:
    """Not knowing is not the same as not found."""
    twilio.list_faults.append(fault)
    with pytest.raises(OperatingError):
        channel_to(twilio.url).find(question())


def test_nothing_personal_is_logged(twilio: FakeTwilio, caplog: pytest.LogCaptureFixture) -> None:
    """Even with every logger at its most talkative: no number, no body, no token."""
    with caplog.at_level(logging.DEBUG):
        channel = channel_to(twilio.url)
        channel.send(question())
        channel.find(question())
        twilio.create_faults.append(Fault(status=400, code=21211))
        channel.send(question())
    for secret in (PHONE, PHONE[1:], question().body, AUTH_TOKEN):
        assert secret not in caplog.text


def test_the_sdk_is_imported_by_the_first_text_only() -> None:
    """The module itself stays light."""
    import subprocess
    import sys

    check = (
        "import sys, cardwatch.adapters.channels.twilio; print('twilio.rest' in sys.modules, 'requests' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "False"]
