"""Status callbacks by themselves: late, twice, shuffled or lost, by a plan and a seed.

What happens to a text depends on the seed and the text's sid alone, not on how threads run.
"""

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.twilio.texts import Text


@dataclass
class CallbackPlan:
    """Which callbacks come, and how."""

    automatic: bool = False
    """Whether they come by themselves; else `FakeTwilio.post_status` posts them."""
    statuses: tuple[str, ...] = ("queued", "sent")
    """Those before the last one, which is "delivered" unless the number's texts fail."""
    delay_s: tuple[float, float] = (0.0, 0.01)
    """Shortest and longest time between one callback and the next."""
    repeat: float = 0.0
    """Share of callbacks that come twice."""
    reorder: float = 0.0
    """Share of texts whose callbacks come in any order."""
    loss: float = 0.0
    """Share of callbacks that never come."""
    early: int = 0
    """How many callbacks come before the call that creates the text has returned."""


@dataclass(frozen=True, order=True)
class Step:
    """One callback of a text."""

    status: str
    error_code: int | None = None


def planned(plan: CallbackPlan, last: Step, *, seed: str) -> list[tuple[float, Step]]:
    """Return a text's callbacks in the order in which they come, each with the wait before it (s)."""
    draw = random.Random(seed)
    steps = [*map(Step, plan.statuses), last]
    if draw.random() < plan.reorder:
        draw.shuffle(steps)
    coming: list[Step] = []
    for step in steps:
        copies = 0 if draw.random() < plan.loss else 1 + (draw.random() < plan.repeat)
        coming += [step] * copies
    return [(draw.uniform(*plan.delay_s), step) for step in coming]


class Callbacks:
    """Posts what is planned at its time, in one thread of its own, which ends with `close`."""

    def __init__(self, post: Callable[[Text, Step], None]) -> None:
        self._post = post
        self._due: list[tuple[float, int, Text, Step]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def plan(self, text: Text, steps: list[tuple[float, Step]]) -> None:
        """Have a text's callbacks posted one after the other."""
        at = time.monotonic()
        with self._changed:
            for wait_s, step in steps:
                at += wait_s
                heapq.heappush(self._due, (at, next(self._order), text, step))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def settle(self, timeout_s: float = 10.0) -> None:
        """Wait until every planned callback was posted; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._due and not self._busy, timeout_s):
                raise TimeoutError(f"{len(self._due)} callbacks are still to come")

    def close(self) -> None:
        """Forget what is still to come."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=20)

    def _run(self) -> None:
        while (due := self._next()) is not None:
            try:
                self._post(*due)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _next(self) -> tuple[Text, Step] | None:
        with self._changed:
            while not self._closed:
                left_s = self._due[0][0] - time.monotonic() if self._due else None
                if left_s is not None and left_s <= 0:
                    _, _, text, step = heapq.heappop(self._due)
                    self._busy = True
                    return text, step
                self._changed.wait(left_s)
        return None
