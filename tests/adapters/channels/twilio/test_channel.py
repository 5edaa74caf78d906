"""Sending through Twilio by the official SDK, against a fake Twilio over real HTTP."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec
import pytest

from cardwatch.adapters.channels.twilio.channel import TwilioChannel
from cardwatch.adapters.channels.twilio.errors import REFUSALS
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageState
from cardwatch.ports import Channel, NotSent, OnUnknown, Sent, UnknownSent
from tests.builders import OWN_NUMBER, PHONE, make_message
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


def test_the_channel_says_what_it_is(twilio: FakeTwilio) -> None:
    """Its name, where its texts come from, and that it can be asked what became of one."""
    channel: Channel = channel_to(twilio.url)
    assert (channel.name, channel.own_address, channel.on_unknown) == ("sms", OWN_NUMBER, OnUnknown.LOOK_UP)


def test_a_claim_that_waited_too_long_is_given_back_unsent(twilio: FakeTwilio) -> None:
    """Sent at the end of its lease, a text could be looked up before it arrived, and go out twice."""
    channel = channel_to(twilio.url)
    claimed = question(state=MessageState.SENDING, due_at_ms=LONG_AGO_MS + 999)
    assert channel.send(claimed) == NotSent("claim ran out before it was sent", retryable=True, tried=False)
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


def test_a_service_beside_a_number_sends_from_that_number(twilio: FakeTwilio) -> None:
    """Replies must come back to the number that the question stands under."""
    service_sid = "MG" + "3" * 32
    channel = channel_to(twilio.url, messaging_service_sid=service_sid)
    assert isinstance(channel.send(question()), Sent)
    sent = twilio.texts[0].fields
    assert (sent["From"], sent["MessagingServiceSid"]) == (OWN_NUMBER, service_sid)


REQUEST_CODES = sorted(code for code in REFUSALS if code < 30_000 and code not in {20003, 20404, 20429})


@pytest.mark.parametrize("code", REQUEST_CODES)
def test_every_refusal_of_the_table_is_judged(twilio: FakeTwilio, code: int) -> None:
    """A 4xx was not taken; code and our word are kept, Twilio's sentence with the number in it is not."""
    twilio.create_faults.append(Fault(status=400, code=code))
    meaning = REFUSALS[code]
    assert channel_to(twilio.url).send(question()) == NotSent(
        f"{code} {meaning.word}", retryable=meaning.retryable, opted_out=meaning.opted_out, alarm=meaning.alarm
    )
    assert twilio.texts == []


@pytest.mark.parametrize(
    ("to", "code", "expected"),
    [
        ("+15005550001", 21211, NotSent("", retryable=False)),
        ("+15005550002", 21612, NotSent("", retryable=False)),
        ("+15005550003", 21408, NotSent("", retryable=False, alarm=True)),
        ("+15005550004", 21610, NotSent("", retryable=False, opted_out=True)),
        ("+15005550009", 21614, NotSent("", retryable=False)),
    ],
)
def test_twilios_magic_receivers_are_judged(twilio: FakeTwilio, to: str, code: int, expected: NotSent) -> None:
    """The numbers of Twilio's test credentials, with the action that each calls for."""
    refused = channel_to(twilio.url).send(question(address=to))
    assert refused == msgspec.structs.replace(expected, error=f"{code} {REFUSALS[code].word}")


@pytest.mark.parametrize(
    ("sender", "code", "expected"),
    [
        ("+15005550001", 21212, NotSent("", retryable=False, alarm=True)),
        ("+15005550007", 21606, NotSent("", retryable=False, alarm=True)),
        ("+12025550111", 21606, NotSent("", retryable=False, alarm=True)),
        ("+15005550008", 21611, NotSent("", retryable=True)),
    ],
)
def test_twilios_magic_senders_are_judged(twilio: FakeTwilio, sender: str, code: int, expected: NotSent) -> None:
    """A sender that is not ours needs an operator; a full queue needs time."""
    refused = channel_to(twilio.url).send(question(own_address=sender))
    assert refused == msgspec.structs.replace(expected, error=f"{code} {REFUSALS[code].word}")


def test_an_opted_out_number_is_told_apart(twilio: FakeTwilio) -> None:
    """21610 is the holder's STOP, kept by Twilio."""
    twilio.opted_out.add(PHONE)
    assert channel_to(twilio.url).send(question()) == NotSent("21610 opted out", retryable=False, opted_out=True)


@pytest.mark.parametrize("fault", [Fault(status=429, code=20429), Fault(status=429), Fault(status=429, code=63038)])
def test_too_many_requests_may_be_tried_again(twilio: FakeTwilio, fault: Fault) -> None:
    """Twilio documents 429 as not processed."""
    twilio.create_faults.append(fault)
    refused = channel_to(twilio.url).send(question())
    assert isinstance(refused, NotSent)
    assert (refused.retryable, refused.alarm, refused.retry_after_ms) == (True, False, None)


@pytest.mark.parametrize(
    ("said", "wait_ms"),
    [
        ("7", 7_000),
        ("0", 0),
        (" 30 ", 30_000),
        ("3600", 3_600_000),
        ("86400", 3_600_000),
        ("9" * 5_000, 3_600_000),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Sat, 99 Nov 2026 10:00:00 GMT", None),
        ("Thu, 01 Jan 2015 00:00:00 GMT", 0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", 3_600_000),
    ],
)
def test_the_provider_says_how_long_to_leave_it_alone(twilio: FakeTwilio, said: str, wait_ms: int | None) -> None:
    """Retry-After in seconds or as a date, an hour at most; what cannot be read is no wait."""
    twilio.create_faults.append(Fault(status=429, code=20429, headers={"Retry-After": said}))
    refused = channel_to(twilio.url).send(question())
    assert isinstance(refused, NotSent)
    assert refused.retry_after_ms == wait_ms


def test_a_date_to_wait_for_is_read_by_the_providers_clock(twilio: FakeTwilio) -> None:
    """Whatever ours says: here it is years behind."""
    twilio.clock_ahead_s = 5_000.0
    until = datetime.fromtimestamp(twilio.now().timestamp() + 90, UTC)
    said = {"Retry-After": format_datetime(until, usegmt=True)}
    twilio.create_faults.append(Fault(status=429, code=20429, headers=said))
    refused = channel_to(twilio.url).send(question())
    assert isinstance(refused, NotSent)
    assert refused.retry_after_ms is not None
    assert 85_000 <= refused.retry_after_ms <= 91_000


def test_a_final_refusal_asks_for_no_wait(twilio: FakeTwilio) -> None:
    """Nothing is sent again that would have to wait."""
    twilio.create_faults.append(Fault(status=400, code=21211, headers={"Retry-After": "5"}))
    refused = channel_to(twilio.url).send(question())
    assert isinstance(refused, NotSent)
    assert refused.retry_after_ms is None


def test_one_threads_refusal_is_not_anothers(twilio: FakeTwilio) -> None:
    """Each thread reads the Retry-After of its own answer."""
    channel = channel_to(twilio.url)
    channel.prepare()
    for seconds in range(1, 41):
        said = {"Retry-After": str(seconds)}
        twilio.create_faults.append(Fault(status=429, code=20429, headers=said, delay_s=0.02))
    with ThreadPoolExecutor(8) as threads:
        refused = list(threads.map(lambda _: channel.send(question()), range(40)))
    waits = sorted(r.retry_after_ms or 0 for r in refused if isinstance(r, NotSent))
    assert waits == [seconds * 1000 for seconds in range(1, 41)]


def test_a_wrong_token_is_final(twilio: FakeTwilio) -> None:
    """No retry mends a configuration: an operator does."""
    refused = channel_to(twilio.url, token="wrong").send(question())
    assert isinstance(refused, NotSent)
    assert (refused.error.split()[0], refused.retryable, refused.alarm) == ("20003", False, True)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(status=401), "401"),
        (Fault(status=403), "403"),
        (Fault(status=403, code=20003), "20003"),
        (Fault(status=404), "404"),
        (Fault(status=404, code=20404), "20404"),
        (Fault(status=401, body='{"code": 70051, "message": "x"}'), "70051"),
    ],
)
def test_failures_of_authentication_are_alarms(twilio: FakeTwilio, fault: Fault, code: str) -> None:
    """Whatever comes with the status: codes that are not in the table, pages of a proxy."""
    twilio.create_faults.append(fault)
    refused = channel_to(twilio.url).send(question())
    assert isinstance(refused, NotSent)
    assert (refused.error.split()[0], refused.alarm, refused.retryable) == (code, True, False)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=400, code=99_999), "99999 refused"),
        (Fault(status=400), "400 refused"),
        (Fault(status=400, body='{"code": "21610"}'), "400 refused"),
        (Fault(status=400, body='{"code": null, "message": null}'), "400 refused"),
        (Fault(status=413), "413 refused"),
    ],
)
def test_a_refusal_that_is_not_in_the_table_is_final(twilio: FakeTwilio, fault: Fault, error: str) -> None:
    """It was not taken, and nothing says that it may pass later."""
    twilio.create_faults.append(fault)
    assert channel_to(twilio.url).send(question()) == NotSent(error, retryable=False)


def test_the_status_is_that_of_http_not_of_the_body(twilio: FakeTwilio) -> None:
    """An error in the newer form states its own; a server's error stays unknown whatever it says."""
    said = '{"type": "x", "title": "x", "status": 400, "code": 21610}'
    twilio.create_faults.append(Fault(status=503, body=said))
    assert channel_to(twilio.url).send(question()) == UnknownSent("HTTP 503")
    twilio.create_faults.append(Fault(status=400, body=said.replace("400", "503")))
    assert channel_to(twilio.url).send(question()) == NotSent("21610 opted out", retryable=False, opted_out=True)


def test_texts_go_out_from_several_threads_at_once(twilio: FakeTwilio) -> None:
    """Each gets its own sid, and none is lost or doubled."""
    channel = channel_to(twilio.url)
    messages = [question(message_id=f"m{number}", body=f"Question {number}") for number in range(60)]
    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(channel.send, messages))
    sids = {text.fields["Body"]: text.sid for text in twilio.texts}
    assert outcomes == [Sent(sids[message.body]) for message in messages]
    assert len(twilio.texts) == 60


def test_nothing_personal_is_logged(twilio: FakeTwilio, caplog: pytest.LogCaptureFixture) -> None:
    """Even with every logger at its most talkative: no number, no body, no token."""
    with caplog.at_level(logging.DEBUG):
        channel = channel_to(twilio.url)
        channel.send(question())
        channel.find(question())
        outcomes = [channel.send(question(address=to)) for to in ("+15005550001", "+15005550004")]
        for fault in (Fault(status=503), Fault(drop=True), Fault(delay_s=1.2), Fault(body="{")):
            twilio.create_faults.append(fault)
            outcomes.append(channel.send(question()))
        outcomes.append(channel_to("http://twilio.invalid").send(question()))
        twilio.list_faults.append(Fault(status=500))
        with pytest.raises(OperatingError) as raised:
            channel.find(question())
    told = f"{caplog.text} {outcomes} {raised.value!r}"
    assert "http://" not in told
    for secret in (PHONE, PHONE[1:], question().body, AUTH_TOKEN):
        assert secret not in told


def test_the_sdk_is_imported_by_the_first_text_only() -> None:
    """The module itself stays light."""
    import subprocess
    import sys

    check = (
        "import sys, cardwatch.adapters.channels.twilio; print('twilio.rest' in sys.modules, 'requests' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "False"]
