"""The circuit breaker: opens on failures in a row, waits, tries once, and never mistakes a refusal for a failure."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.adapters.channels.breaker import DOWN, TRIAL_MS_MAX, TRIAL_WAIT_MS, CircuitBreaker, CircuitState
from cardwatch.adapters.channels.twilio.channel import TwilioChannel
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import Channel, NotSent, OnUnknown, Sent, UnknownSent
from tests.builders import OWN_NUMBER, PHONE, make_message
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN, Fault, running_twilio

Outcome = Sent | NotSent | UnknownSent

SENT = Sent("SM1")
NO_CONNECTION = NotSent("no connection", retryable=True)
FAILURES = (UnknownSent("ReadTimeout"), NO_CONNECTION, NotSent("503 unavailable", retryable=True))
REFUSALS = (
    NotSent("21610 opted out", retryable=False, opted_out=True),
    NotSent("20003 not authenticated", retryable=False, alarm=True),
    NotSent("20429 too many requests", retryable=True, retry_after_ms=1_000),
    NotSent("429 too many requests", retryable=True),
    NotSent("451 greylisted", retryable=True),
    NotSent("550 no such mailbox", retryable=False),
    NotSent("no address", retryable=False),
)
NOT_TRIED = NotSent("claim ran out before it was sent", retryable=True, tried=False)


@dataclass
class Provider:
    """A channel that answers as it is told, and may be held up."""

    answer: Outcome = SENT
    found: Sent | None = None
    error: Exception | None = None
    sends: int = 0
    finds: int = 0
    before: Callable[[], None] = field(default=lambda: None)
    name: str = "sms"
    own_address: str = OWN_NUMBER
    on_unknown: OnUnknown = OnUnknown.LOOK_UP

    def send(self, message: Message) -> Outcome:
        """Answer."""
        assert message.channel == "sms"
        self.sends += 1
        answer = self.answer
        self.before()
        if self.error is not None:
            raise self.error
        return answer

    def find(self, message: Message) -> Sent | None:
        """Answer."""
        assert message.channel == "sms"
        self.finds += 1
        if self.error is not None:
            raise self.error
        return self.found


def breaker_around(provider: Provider, clock: FixedClock, **options: int) -> CircuitBreaker:
    """Return a breaker that opens after 3 failures for 10 s, 40 s at most."""
    usual = {"failures_max": 3, "open_ms": 10_000, "open_ms_max": 40_000}
    return CircuitBreaker(provider, clock=clock, **{**usual, **options})


def state_of(breaker: CircuitBreaker) -> CircuitState:
    """Return how a circuit stands now."""
    return breaker.state


def opened(provider: Provider, clock: FixedClock) -> CircuitBreaker:
    """Return a breaker that has just opened."""
    breaker = breaker_around(provider, clock)
    provider.answer = NO_CONNECTION
    for _ in range(3):
        breaker.send(make_message())
    assert state_of(breaker) is CircuitState.OPEN
    provider.sends = 0
    return breaker


def test_it_is_the_channel_that_it_wraps() -> None:
    """Name, own address and what is done about unknown messages are the channel's."""
    provider = Provider(name="push", own_address="app", on_unknown=OnUnknown.LEAVE, found=SENT)
    channel: Channel = CircuitBreaker(provider, clock=FixedClock())
    assert (channel.name, channel.own_address, channel.on_unknown) == ("push", "app", OnUnknown.LEAVE)
    assert channel.send(make_message()) == SENT
    assert channel.find(make_message()) == SENT


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_failures_in_a_row_open_it(failure: Outcome) -> None:
    """From then on nobody waits for the provider's timeout; what is left of the time is said."""
    provider, clock = Provider(failure), FixedClock()
    breaker = breaker_around(provider, clock)
    assert [breaker.send(make_message()) for _ in range(3)] == [failure] * 3
    clock.advance(4_000)
    assert breaker.send(make_message()) == NotSent(DOWN, retryable=True, tried=False, retry_after_ms=6_000)
    with pytest.raises(OperatingError, match=DOWN):
        breaker.find(make_message())
    assert (provider.sends, provider.finds) == (3, 0)


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_refusals_are_answers(refusal: NotSent) -> None:
    """Whoever refuses is up: they never open it, and break a row of failures."""
    provider, clock = Provider(refusal), FixedClock()
    breaker = breaker_around(provider, clock)
    for _ in range(50):
        assert breaker.send(make_message()) == refusal
    for _ in range(10):
        for answer in (NO_CONNECTION, NO_CONNECTION, refusal):
            provider.answer = answer
            breaker.send(make_message())
    assert state_of(breaker) is CircuitState.CLOSED


def test_what_was_not_tried_says_nothing() -> None:
    """It neither opens the circuit nor breaks a row of failures."""
    provider, clock = Provider(NOT_TRIED), FixedClock()
    breaker = breaker_around(provider, clock)
    for _ in range(10):
        breaker.send(make_message())
    assert state_of(breaker) is CircuitState.CLOSED
    for answer in (NO_CONNECTION, NOT_TRIED, NO_CONNECTION, NOT_TRIED, NO_CONNECTION):
        provider.answer = answer
        breaker.send(make_message())
    assert state_of(breaker) is CircuitState.OPEN


def test_one_trial_closes_it() -> None:
    """After its time the next send goes through, and all others after that."""
    provider, clock = Provider(), FixedClock()
    breaker = opened(provider, clock)
    provider.answer = SENT
    clock.advance(9_999)
    assert isinstance(breaker.send(make_message()), NotSent)
    clock.advance(1)
    assert breaker.send(make_message()) == SENT
    assert state_of(breaker) is CircuitState.CLOSED
    provider.answer = NO_CONNECTION
    breaker.send(make_message())
    breaker.send(make_message())
    assert state_of(breaker) is CircuitState.CLOSED


def test_each_failed_trial_doubles_the_wait_to_a_limit() -> None:
    """10, 20, 40, 40 seconds, with one send each; once closed it begins at 10 again."""
    provider, clock = Provider(), FixedClock()
    breaker = opened(provider, clock)
    for wait_ms in (10_000, 20_000, 40_000, 40_000, 40_000):
        refused = breaker.send(make_message())
        assert isinstance(refused, NotSent)
        assert refused.retry_after_ms == wait_ms
        clock.advance(wait_ms)
        assert breaker.send(make_message()) == NO_CONNECTION
    assert provider.sends == 5
    clock.advance(40_000)
    provider.answer = REFUSALS[0]
    assert breaker.send(make_message()) == REFUSALS[0]
    assert state_of(breaker) is CircuitState.CLOSED
    again = opened(provider, clock).send(make_message())
    assert isinstance(again, NotSent)
    assert again.retry_after_ms == 10_000


def test_only_one_goes_through_while_it_is_tried() -> None:
    """Many threads at the end of the wait: one asks the provider, the others are told to wait."""
    provider, clock = Provider(), FixedClock()
    breaker = opened(provider, clock)
    provider.answer = SENT
    go = threading.Event()

    def hold() -> None:
        go.wait(5)

    provider.before = hold
    clock.advance(10_000)
    with ThreadPoolExecutor(16) as threads:
        futures = [threads.submit(breaker.send, make_message()) for _ in range(16)]
        waiting = NotSent(DOWN, retryable=True, tried=False, retry_after_ms=TRIAL_WAIT_MS)
        done: set[Future[Outcome]] = set()
        while len(done) < 15:
            done, _ = wait(futures, timeout=0.01)
        assert state_of(breaker) is CircuitState.HALF_OPEN
        go.set()
        outcomes = [future.result(5) for future in futures]
    assert sorted(map(str, outcomes)) == sorted(map(str, [SENT, *[waiting] * 15]))
    assert provider.sends == 1


def test_sends_do_not_wait_for_each_other() -> None:
    """The lock is not held while the provider is asked."""
    provider, clock = Provider(), FixedClock()
    breaker = breaker_around(provider, clock)
    together = threading.Barrier(8)

    def meet() -> None:
        together.wait(5)

    provider.before = meet
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(breaker.send, [make_message()] * 8))
    assert outcomes == [SENT] * 8


@pytest.mark.parametrize("late", [SENT, NO_CONNECTION], ids=str)
def test_what_began_before_a_change_does_not_count_after_it(late: Outcome) -> None:
    """An answer to an old send neither closes an open circuit nor opens a closed one."""
    provider, clock = Provider(late), FixedClock()
    breaker = breaker_around(provider, clock)
    started, go = threading.Event(), threading.Event()

    def hold() -> None:
        started.set()
        go.wait(5)

    provider.before = hold
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(breaker.send, make_message())
        assert started.wait(5)
        provider.before, provider.answer = lambda: None, NO_CONNECTION
        for _ in range(3):
            breaker.send(make_message())
        assert state_of(breaker) is CircuitState.OPEN
        go.set()
        assert future.result(5) == late
    refused = breaker.send(make_message())
    assert isinstance(refused, NotSent)
    assert refused.retry_after_ms == 10_000


def test_a_trial_that_was_not_tried_leaves_the_next_one() -> None:
    """Nothing was learnt by it."""
    provider, clock = Provider(), FixedClock()
    breaker = opened(provider, clock)
    clock.advance(10_000)
    provider.answer = NOT_TRIED
    assert breaker.send(make_message()) == NOT_TRIED
    provider.answer = SENT
    assert breaker.send(make_message()) == SENT
    assert state_of(breaker) is CircuitState.CLOSED


def test_a_trial_that_never_comes_back_is_given_up() -> None:
    """A lost thread does not keep the provider shut for good."""
    provider, clock = Provider(), FixedClock()
    breaker = opened(provider, clock)
    provider.answer = SENT
    started, go = threading.Event(), threading.Event()

    def hold() -> None:
        started.set()
        go.wait(5)

    provider.before = hold
    clock.advance(10_000)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(breaker.send, make_message())
        assert started.wait(5)
        provider.before = lambda: None
        clock.advance(TRIAL_MS_MAX - 1)
        assert isinstance(breaker.send(make_message()), NotSent)
        clock.advance(1)
        assert breaker.send(make_message()) == SENT
        assert state_of(breaker) is CircuitState.CLOSED
        go.set()
        future.result(5)
    assert state_of(breaker) is CircuitState.CLOSED


@pytest.mark.parametrize("error", [OperatingError("x"), ValueError("x")], ids=repr)
def test_an_error_counts_as_a_failure_and_is_passed_on(error: Exception) -> None:
    """Also one that nobody expected; a trial that raises opens the circuit again."""
    provider, clock = Provider(error=error), FixedClock()
    breaker = breaker_around(provider, clock)
    for _ in range(3):
        with pytest.raises(type(error)):
            breaker.send(make_message())
    assert state_of(breaker) is CircuitState.OPEN
    clock.advance(10_000)
    with pytest.raises(type(error)):
        breaker.send(make_message())
    assert state_of(breaker) is CircuitState.OPEN


def test_a_look_up_does_not_count_while_it_is_closed() -> None:
    """A provider may list texts and take none: a good look-up does not break a row of failures, nor a bad one add."""
    provider, clock = Provider(), FixedClock()
    breaker = breaker_around(provider, clock)
    for answer in (NO_CONNECTION, NO_CONNECTION):
        provider.answer = answer
        breaker.send(make_message())
        breaker.find(make_message())
    provider.error = OperatingError("x")
    for _ in range(5):
        with pytest.raises(OperatingError):
            breaker.find(make_message())
    provider.error = None
    assert state_of(breaker) is CircuitState.CLOSED
    breaker.send(make_message())
    assert state_of(breaker) is CircuitState.OPEN


@pytest.mark.parametrize("works", [True, False])
def test_a_look_up_is_a_trial(works: bool) -> None:
    """Where only messages of unknown fate are left, somebody has to ask."""
    provider, clock = Provider(), FixedClock()
    breaker = opened(provider, clock)
    clock.advance(10_000)
    provider.error = None if works else OperatingError("x")
    if works:
        assert breaker.find(make_message()) is None
    else:
        with pytest.raises(OperatingError, match="x"):
            breaker.find(make_message())
    assert state_of(breaker) is (CircuitState.CLOSED if works else CircuitState.OPEN)


def test_changes_are_logged_by_channel_and_state_alone() -> None:
    """Never a number, a body or an error's text."""
    provider, clock = Provider(), FixedClock()
    with structlog.testing.capture_logs() as logs:
        breaker = opened(provider, clock)
        clock.advance(10_000)
        breaker.send(make_message())
        clock.advance(20_000)
        provider.answer = SENT
        breaker.send(make_message())
        breaker.send(make_message())
    states = ["open", "half_open", "open", "half_open", "closed"]
    assert [entry["state"] for entry in logs] == states
    for entry in logs:
        assert set(entry) == {"event", "log_level", "channel", "state"}
    assert PHONE not in str(logs)


STEPS = st.lists(
    st.one_of(st.sampled_from([SENT, NO_CONNECTION, NOT_TRIED, REFUSALS[0]]), st.integers(0, 50_000)), max_size=60
)


@given(STEPS)
def test_it_never_shuts_a_provider_that_answers_nor_for_longer_than_its_limit(steps: list[Outcome | int]) -> None:
    """Whatever happens: it is shut only after failures, 40 seconds at most, and what it lets through it passes on."""
    provider, clock = Provider(), FixedClock()
    breaker = breaker_around(provider, clock)
    failed = False
    for step in steps:
        if isinstance(step, int):
            clock.advance(step)
            continue
        provider.answer = step
        before = provider.sends
        outcome = breaker.send(make_message())
        if provider.sends == before:
            assert failed
            assert isinstance(outcome, NotSent)
            assert outcome.retry_after_ms is not None
            assert 0 < outcome.retry_after_ms <= 40_000
            assert (outcome.tried, outcome.retryable) == (False, True)
        else:
            assert outcome == step
            failed = failed or step == NO_CONNECTION
    clock.advance(40_000)
    provider.answer = SENT
    assert breaker.send(make_message()) == SENT
    assert state_of(breaker) is CircuitState.CLOSED


def test_around_twilio_over_http() -> None:
    """The real channel: a dead provider costs a few connections, and is used again once it is back."""
    clock = FixedClock()
    with running_twilio() as twilio:
        channel = TwilioChannel(
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            own_number=OWN_NUMBER,
            clock=clock,
            api_url=twilio.url,
            timeout_s=0.5,
        )
        breaker = CircuitBreaker(channel, clock=clock, failures_max=3, open_ms=10_000)
        for code in (21211, 21610, 20429, 21611, 21408):
            twilio.create_faults.append(Fault(status=400, code=code))
            assert isinstance(breaker.send(make_message()), NotSent)
        twilio.create_faults.extend([Fault(status=500), Fault(drop=True, takes=True), Fault(body="{")])
        assert [type(breaker.send(make_message())) for _ in range(3)] == [UnknownSent] * 3
        asked = len(twilio.requests)
        assert breaker.send(make_message()) == NotSent(DOWN, retryable=True, tried=False, retry_after_ms=10_000)
        assert len(twilio.requests) == asked
        twilio.die()
        clock.advance(10_000)
        assert breaker.send(make_message()) == NO_CONNECTION
        twilio.revive()
        clock.advance(20_000)
        assert breaker.find(make_message()) == Sent(twilio.texts[0].sid)
        assert isinstance(breaker.send(make_message()), Sent)
