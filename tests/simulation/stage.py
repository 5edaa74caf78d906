"""Virtual time, the processes that live in it, and the moments at which they may die.

Everything happens on one queue of events, in the order of its time, and draws from one generator: so a seed repeats a
run exactly. A crash is an exception at a crash point; the process that runs there loses all that it has under way and
keeps what was applied. A process's clock is off by a constant of its own, drawn anew in each of its lives.
"""

import heapq
import random
import sys
from collections import Counter
from collections.abc import Callable

from cardwatch.domain.errors import OperatingError
from cardwatch.domain.times import SECOND_MS, format_instant
from tests.builders import NOW_MS
from tests.simulation.dials import Dials

Event = Callable[[], None]

RACE_MS = 5 * SECOND_MS
"""How far ahead an event may lie that overtakes another."""

WHOLE_MACHINE = 0.25
"""How often a crash takes all processes with it."""


class Crash(BaseException):
    """The process dies here."""


class Process:
    """Something of ours that runs, with a clock of its own."""

    def __init__(self, name: str, stage: "Stage") -> None:
        self.name = name
        self.life = 0
        self.up_at_ms = 0
        self._stage = stage
        self.skew_ms = stage.draw_skew_ms()

    def now_ms(self) -> int:
        """What time this process thinks it is."""
        return self._stage.now_ms + self.skew_ms

    def die(self) -> None:
        """Lose all that is under way, and come back after a while."""
        self.life += 1
        self.skew_ms = self._stage.draw_skew_ms()
        self.up_at_ms = self._stage.now_ms + self._stage.random.randrange(500, 15 * SECOND_MS)


class Stage:
    """The queue of events and all that the parts of a world share."""

    def __init__(self, seed: int, *, dials: Dials, trace: bool = False) -> None:
        self.seed = seed
        self.dials = dials
        self.random = random.Random(seed)
        self.now_ms = NOW_MS
        self.counts: Counter[str] = Counter()
        self.races = 0
        self._racing = False
        self.steps = 0
        """Crash points passed."""
        self.events = 0
        self.waiting = 0
        """Events to come, but for those that only look whether there is work."""
        self.on_machine_crash: Event = lambda: None
        self._trace = trace
        self._queue: list[tuple[int, int, Event, Process | None, int, bool]] = []
        self._scheduled = 0
        self._processes: list[Process] = []
        self._running: list[Process] = []

    def process(self, name: str) -> Process:
        """Return a new process."""
        self._processes.append(Process(name, self))
        return self._processes[-1]

    def at(self, delay_ms: int, event: Event, *, of: Process | None = None) -> None:
        """Let something happen later; what is under way in a process is lost if that dies before."""
        self.waiting += 1
        self._push(delay_ms, event, of, awaited=True)

    def idly(self, delay_ms: int, event: Event) -> None:
        """Let something happen later that keeps no run from ending: somebody looks whether there is work."""
        self._push(delay_ms, event, None, awaited=False)

    def _push(self, delay_ms: int, event: Event, of: Process | None, *, awaited: bool) -> None:
        self._scheduled += 1
        item = (self.now_ms + delay_ms, self._scheduled, event, of, of.life if of else 0, awaited)
        heapq.heappush(self._queue, item)

    def run(self) -> None:
        """Let everything happen."""
        while self._queue:
            self._next()

    def _next(self) -> None:
        self.now_ms, _, event, of, life, awaited = heapq.heappop(self._queue)
        self.waiting -= awaited
        if of is None or of.life == life:
            self.events += 1
            event()

    def attempt(self, process: Process, work: Event) -> bool:
        """Let a process do something; False if it was down, died, or met an error that may pass."""
        if self.now_ms < process.up_at_ms:
            return False
        self._running.append(process)
        try:
            work()
        except Crash:
            self._crashed(process)
            return False
        except OperatingError as error:
            self.count(f"error: {type(error).__name__}")
            return False
        finally:
            self._running.pop()
        return True

    def crash_point(self, where: str) -> None:
        """Die here, perhaps."""
        if not self._running:
            return
        self.steps += 1
        dies = self.steps == self.dials.crash_at if self.dials.crash_at else self.chance(self.dials.crash)
        if dies:
            self.count(f"crash {where}")
            self.tell(f"{self._running[-1].name} dies {where}")
            raise Crash(where)

    def _crashed(self, process: Process) -> None:
        self.count("crashes")
        process.die()
        if self.chance(WHOLE_MACHINE):
            self.count("crashes of the whole machine")
            for other in self._processes:
                other.die()
            self.on_machine_crash()

    def race(self) -> None:
        """Let the next event overtake what is going on, perhaps."""
        if self._racing or not self._queue or not self.chance(self.dials.race):
            return
        if self._queue[0][0] > self.now_ms + RACE_MS:
            return
        self.count("races")
        self.races += 1
        self._racing = True
        self._next()
        self._racing = False

    # Chance

    def chance(self, rate: float) -> bool:
        """Say whether something happens that happens so often."""
        return rate > 0 and self.random.random() < rate

    def token(self) -> str:
        """Return fresh randomness."""
        return self.random.randbytes(16).hex()

    def draw_skew_ms(self) -> int:
        """Return by how much a clock is off."""
        return self.random.randint(-self.dials.skew_ms, self.dials.skew_ms)

    def fixed(self, about: str) -> random.Random:
        """Return a generator for what is so once and for all: whether a payment is genuine, who owns a landline."""
        return random.Random(f"{self.seed}:{about}")

    # What is said of a run

    def count(self, what: str) -> None:
        """Count something for the summary."""
        self.counts[what] += 1

    def tell(self, what: str) -> None:
        """Print what happens, where a run is traced."""
        if self._trace:
            sys.stdout.write(f"{format_instant(self.now_ms)} {what}\n")
