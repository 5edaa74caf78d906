"""The fake Twilio itself: what the whole suite relies on, driven by the official SDK through our adapter."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from cardwatch.adapters.channels.twilio.channel import TwilioChannel
from cardwatch.adapters.channels.twilio.check import check_account
from cardwatch.adapters.channels.twilio.signature import parse_form, verify
from cardwatch.adapters.channels.twilio.webhook import delivery_report
from cardwatch.adapters.clock import SystemClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageState
from cardwatch.domain.provider_post import DeliveryReport
from cardwatch.ports import NotSent, Sent, UnknownSent
from tests.builders import OWN_NUMBER, PHONE, make_message
from tests.fakes.twilio.callbacks import Step, planned
from tests.fakes.twilio.sink import Received, Sink, running_sink
from tests.fakes.twilio_server import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CallbackPlan,
    Fault,
    ServedTwilio,
    number_failing_with,
    running_twilio,
)

STATUS_PATH = "/webhook/twilio/status"


@pytest.fixture
def twilio() -> Iterator[ServedTwilio]:
    """Serve a fake with a seed that a failure can be repeated with."""
    with running_twilio(seed=20_261_122) as fake:
        yield fake


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Serve the webhook of an application."""
    with running_sink() as served:
        yield served


def channel_to(twilio: ServedTwilio, sink: Sink | None = None) -> TwilioChannel:
    """Return our adapter between the two."""
    return TwilioChannel(
        account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        own_number=OWN_NUMBER,
        clock=SystemClock(),
        status_callback_url=sink.url + STATUS_PATH if sink else None,
        api_url=twilio.url,
        timeout_s=0.5,
    )


def question(number: int = 1, **fields: object) -> Message:
    """Return a question made just now."""
    usual: dict[str, object] = {"created_at_ms": SystemClock().now_ms(), "expires_at_ms": None}
    return msgspec.structs.replace(make_message(f"chl_{number}:sms:question:1"), **{**usual, **fields})


def is_signed(sink: Sink, post: Received, *tokens: str) -> bool:
    """Judge a post as our route does."""
    return verify(
        public_url=sink.url,
        raw_path_and_query=post.path_and_query,
        body_params=parse_form(post.body) or (),
        signature=post.headers.get("x-twilio-signature"),
        tokens=tokens or (AUTH_TOKEN,),
    )


def report_of(post: Received) -> DeliveryReport:
    """Read a status callback as our route does."""
    message_id = parse_qs(urlsplit(post.path_and_query).query)["message"][0]
    report = delivery_report(parse_form(post.body) or (), message_id=message_id)
    assert report is not None
    return report


def statuses(sink: Sink) -> list[str]:
    """Return the statuses that came, in their order."""
    return [dict(parse_qsl(post.body.decode()))["MessageStatus"] for post in sink.received]


# Status callbacks


def test_callbacks_come_by_themselves_signed_and_with_our_id(twilio: ServedTwilio, sink: Sink) -> None:
    """Accepted, sent, delivered; the official SDK and our own check agree about each signature."""
    twilio.callbacks.automatic = True
    sent = channel_to(twilio, sink).send(question(message_id="chl_1:sms:question:1"))
    twilio.settle()
    reports = [report_of(post) for post in sink.received]
    assert [report.state for report in reports] == [MessageState.ACCEPTED, MessageState.SENT, MessageState.DELIVERED]
    assert sent == Sent(reports[0].provider_sid)
    assert {report.message_id for report in reports} == {"chl_1:sms:question:1"}
    for post in sink.received:
        assert is_signed(sink, post)
        assert not is_signed(sink, post, "another token")
        fields, signed = dict(parse_form(post.body) or ()), post.headers["x-twilio-signature"]
        assert RequestValidator(AUTH_TOKEN).validate(sink.url + post.path_and_query, fields, signed)


@pytest.mark.parametrize("code", [30003, 30005, 30006, 30007, 30008, 30034, 30036])
def test_magic_numbers_fail_after_they_were_taken(twilio: ServedTwilio, sink: Sink, code: int) -> None:
    """Every code of a callback, with the action that it calls for."""
    twilio.callbacks = CallbackPlan(automatic=True, delay_s=(0, 0))
    assert isinstance(channel_to(twilio, sink).send(question(address=number_failing_with(code))), Sent)
    twilio.settle()
    last = report_of(sink.received[-1])
    assert str(last.error).startswith(f"{code} ")
    assert last.state in {MessageState.UNDELIVERED, MessageState.FAILED, MessageState.EXPIRED}
    assert (last.state is MessageState.EXPIRED) is (code == 30036)
    assert (last.once_more, last.alarm) == (code in {30003, 30008}, code in {30007, 30034})


def test_any_number_can_be_made_to_fail(twilio: ServedTwilio, sink: Sink) -> None:
    """For numbers that a test has already."""
    twilio.callbacks.automatic = True
    twilio.delivery_errors[PHONE] = 30005
    twilio.refusals["+12025550102"] = 21408
    channel = channel_to(twilio, sink)
    assert isinstance(channel.send(question()), Sent)
    assert isinstance(channel.send(question(address="+12025550102")), NotSent)
    twilio.settle()
    assert statuses(sink) == ["queued", "sent", "undelivered"]


def test_a_callback_may_come_before_the_call_has_returned(twilio: ServedTwilio, sink: Sink) -> None:
    """The receiver knows the sid before the sender does."""
    twilio.callbacks = CallbackPlan(automatic=True, early=3)
    seen: list[int] = []
    sent = channel_to(twilio, sink).send(question())
    seen.append(len(sink.received))
    assert seen == [3]
    assert sent == Sent(report_of(sink.received[0]).provider_sid)


def test_callbacks_can_come_twice_shuffled_or_not_at_all(twilio: ServedTwilio, sink: Sink) -> None:
    """Each by its own switch."""
    channel = channel_to(twilio, sink)
    twilio.callbacks = CallbackPlan(automatic=True, repeat=1.0, delay_s=(0, 0))
    channel.send(question(1))
    twilio.settle()
    assert statuses(sink) == ["queued", "queued", "sent", "sent", "delivered", "delivered"]
    sink.received.clear()
    twilio.callbacks = CallbackPlan(automatic=True, loss=1.0)
    channel.send(question(2))
    twilio.settle()
    assert statuses(sink) == []
    twilio.callbacks = CallbackPlan(automatic=True, reorder=1.0, delay_s=(0, 0))
    orders = set()
    for number in range(10):
        sink.received.clear()
        channel.send(question(number))
        twilio.settle()
        orders.add(tuple(statuses(sink)))
    assert all(Counter(order) == Counter(["queued", "sent", "delivered"]) for order in orders)
    assert len(orders) > 1


def test_callbacks_come_as_late_as_they_are_told(twilio: ServedTwilio, sink: Sink) -> None:
    """Nothing waits for them but what wants to."""
    twilio.callbacks = CallbackPlan(automatic=True, delay_s=(0.15, 0.15))
    channel = channel_to(twilio, sink)
    channel.prepare()
    began = time.monotonic()
    channel.send(question())
    assert time.monotonic() - began < 0.4
    twilio.settle()
    assert time.monotonic() - began > 0.4
    assert len(sink.received) == 3


PLANS = st.builds(
    CallbackPlan,
    repeat=st.floats(0, 1),
    reorder=st.floats(0, 1),
    loss=st.floats(0, 1),
    delay_s=st.just((0.0, 1.0)),
)


@given(PLANS, st.text(max_size=5))
def test_the_same_seed_plans_the_same_callbacks(plan: CallbackPlan, seed: str) -> None:
    """A failure can be repeated; every callback is one of the text's, twice at most."""
    last = Step("undelivered", 30003)
    steps = planned(plan, last, seed=seed)
    assert steps == planned(plan, last, seed=seed)
    counted = Counter(step for _, step in steps)
    assert set(counted) <= {Step("queued"), Step("sent"), last}
    assert all(count <= 2 for count in counted.values())
    assert all(0 <= wait_s <= 1 for wait_s, _ in steps)


def test_a_seed_is_printed() -> None:
    """And drawn where none was given."""
    with running_twilio(seed=7) as twilio:
        assert repr(twilio) == "FakeTwilio(seed=7)"
    with running_twilio() as twilio:
        assert str(twilio.seed) in repr(twilio)


# Slow and dead


def test_a_slow_provider_answers_late(twilio: ServedTwilio) -> None:
    """Everybody, until it is told otherwise."""
    channel = channel_to(twilio)
    channel.prepare()
    twilio.slow_s = 0.2
    began = time.monotonic()
    assert isinstance(channel.send(question()), Sent)
    assert time.monotonic() - began >= 0.2
    twilio.slow_s = 1.0
    assert isinstance(channel.send(question()), UnknownSent)


def test_a_dead_provider_refuses_or_hangs_and_comes_back(twilio: ServedTwilio) -> None:
    """At the same address, with all that it had; hanging takes nothing."""
    channel = channel_to(twilio)
    channel.send(question())
    twilio.die()
    assert channel.send(question()) == NotSent("no connection", retryable=True)
    twilio.revive()
    twilio.die(hanging=True)
    assert isinstance(channel.send(question()), UnknownSent)
    with pytest.raises(OperatingError):
        channel.find(question())
    twilio.revive()
    assert len(twilio.texts) == 1
    assert isinstance(channel.send(question(body="another")), Sent)


def test_many_clients_at_once(twilio: ServedTwilio, sink: Sink) -> None:
    """Every text has its own sid and its own callbacks."""
    twilio.callbacks = CallbackPlan(automatic=True, delay_s=(0, 0))
    channel = channel_to(twilio, sink)
    channel.prepare()
    threads = [threading.Thread(target=channel.send, args=(question(number),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    twilio.settle()
    reports = [report_of(post) for post in sink.received]
    assert Counter(report.message_id for report in reports) == {question(n).message_id: 3 for n in range(20)}
    assert len({report.provider_sid for report in reports}) == 20


# The check of an account


def test_an_account_is_checked_over_http(twilio: ServedTwilio) -> None:
    """Credentials, number and balance, in one line; what is wrong is named."""

    def check(**changes: str) -> str:
        usual = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN, "own_number": OWN_NUMBER, "api_url": twilio.url}
        return check_account(**{**usual, **changes})

    assert check() == "Twilio account active, balance 12.50 USD"
    assert check(own_number="MG" + "1" * 32).startswith("Twilio account active")
    with pytest.raises(OperatingError, match="TWILIO_AUTH_TOKEN"):
        check(auth_token="wrong")
    with pytest.raises(OperatingError, match="TWILIO_FROM_NUMBER"):
        check(own_number="+12025550177")
    twilio.die()
    with pytest.raises(OperatingError, match="cannot be reached"):
        check()


def test_a_fault_serves_one_request(twilio: ServedTwilio) -> None:
    """In the order in which they were queued."""
    channel = channel_to(twilio)
    twilio.create_faults.extend([Fault(status=400, code=21614), Fault(status=503)])
    outcomes = [channel.send(question()) for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [NotSent, UnknownSent, Sent]
