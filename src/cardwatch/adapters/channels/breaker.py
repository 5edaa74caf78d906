"""A circuit breaker around a channel: a provider that is down is left alone, and costs no thread its timeout.

Own code, since pybreaker 1.4 holds its lock through each call (one send at a time), and purgatory 3.0 has no lock and
lets every call through when half-open; both read the wall clock themselves, and neither waits longer each time. The
pattern is Nygard's ("Release It!", 2018): closed, open for a time, one trial, and closed again or open for longer.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import structlog

from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import Channel, Clock, NotSent, Sent, UnknownSent

FAILURES_MAX = 5
"""Failures in a row that open the circuit."""
OPEN_MS = 15_000
"""How long it is open at first; each trial that fails doubles it."""
OPEN_MS_MAX = 300_000
"""How long at most: short against the life of a question."""
TRIAL_MS_MAX = 60_000
"""A trial that has not come back after this long is given up, and the next one let through."""
TRIAL_WAIT_MS = 2_000
"""What those are told to wait who come while a trial is under way."""

DOWN = "provider is down"

_CODE = re.compile(r"[0-9]+")

_log = structlog.get_logger(__name__)


class CircuitState(StrEnum):
    """How a circuit stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """One trial is under way."""


class _Call:
    """One call that was let through; what comes of it counts only if the circuit has not changed since."""

    def __init__(self, generation: int, *, trial: bool) -> None:
        self.generation = generation
        self.trial = trial
        self.failed: bool | None = True
        """None: it says nothing about the provider. True until something is known, for calls that raise."""


class CircuitBreaker:
    """The channel itself while its provider answers; thread-safe."""

    def __init__(
        self,
        channel: Channel,
        *,
        clock: Clock,
        failures_max: int = FAILURES_MAX,
        open_ms: int = OPEN_MS,
        open_ms_max: int = OPEN_MS_MAX,
    ) -> None:
        """Wrap a channel.

        `failures_max` failures in a row open the circuit for `open_ms`, which doubles to `open_ms_max` at most.
        """
        self.name = channel.name
        self.own_address = channel.own_address
        self.on_unknown = channel.on_unknown
        self._channel = channel
        self._clock = clock
        self._failures_max = failures_max
        self._open_ms = open_ms
        self._open_ms_max = max(open_ms, open_ms_max)
        self._lock = threading.Lock()
        self._state = CircuitState.CLOSED
        self._generation = 0
        self._failures = 0
        self._openings = 0
        """Times that the circuit was opened since it was last closed."""
        self._until_ms = 0
        """End of being open, or of waiting for a trial to come back."""

    @property
    def state(self) -> CircuitState:
        """How the circuit stands; one that is open stays so until somebody comes after its time."""
        return self._state

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Hand a message to the channel, or say at once that its provider is down."""
        call = self._let_through()
        if isinstance(call, int):
            return NotSent(DOWN, retryable=True, tried=False, retry_after_ms=call)
        with self._counted(call):
            outcome = self._channel.send(message)
            call.failed = _speaks_of_failure(outcome)
        return outcome

    def find(self, message: Message) -> Sent | None:
        """Look a message up by the channel; raises OperatingError while its provider is down.

        A look-up is a trial too, so that messages of unknown fate are looked up where nothing else is to be sent. While
        the circuit is closed it does not count: a provider may list texts and yet take none.
        """
        call = self._let_through()
        if isinstance(call, int):
            raise OperatingError(DOWN)
        with self._counted(call):
            call.failed = True if call.trial else None
            found = self._channel.find(message)
            call.failed = False if call.trial else None
        return found

    def _let_through(self) -> _Call | int:
        """Return the call that may be made, or how long to wait (ms)."""
        with self._lock:
            now_ms = self._clock.now_ms()
            if self._state is CircuitState.CLOSED:
                return _Call(self._generation, trial=False)
            if now_ms < self._until_ms:
                left_ms = self._until_ms - now_ms
                return left_ms if self._state is CircuitState.OPEN else min(left_ms, TRIAL_WAIT_MS)
            self._change(CircuitState.HALF_OPEN, until_ms=now_ms + TRIAL_MS_MAX)
            return _Call(self._generation, trial=True)

    @contextmanager
    def _counted(self, call: _Call) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                if call.generation == self._generation:
                    self._count(failed=call.failed)

    def _count(self, *, failed: bool | None) -> None:
        now_ms = self._clock.now_ms()
        trial = self._state is CircuitState.HALF_OPEN
        if failed is None:
            if trial:  # nothing was learnt: whoever comes next tries
                self._until_ms = now_ms
            return
        if not failed:
            self._failures = 0
            if trial:
                self._openings = 0
                self._change(CircuitState.CLOSED, until_ms=0)
            return
        self._failures += 1
        if trial or self._failures >= self._failures_max:
            open_ms = min(self._open_ms << min(self._openings, 32), self._open_ms_max)
            self._openings += 1
            self._change(CircuitState.OPEN, until_ms=now_ms + open_ms)

    def _change(self, state: CircuitState, *, until_ms: int) -> None:
        changed = state is not self._state
        self._state, self._until_ms, self._failures = state, until_ms, 0
        self._generation += 1
        if changed:
            log = _log.warning if state is CircuitState.OPEN else _log.info
            log("circuit changed", channel=self.name, state=state.value)


def _speaks_of_failure(outcome: Sent | NotSent | UnknownSent) -> bool | None:
    """Say whether an outcome speaks of a provider that is down; None where nothing was tried.

    No clear answer does, and so does a message that may pass later without a code of the provider's (no connection) or
    with a server's own error. A code of another kind is an answer: whoever refuses is up.
    """
    if isinstance(outcome, Sent):
        return False
    if isinstance(outcome, UnknownSent):
        return True
    if not outcome.tried:
        return None
    code = _CODE.match(outcome.error)
    return outcome.retryable and (code is None or 500 <= int(code[0]) <= 599)
