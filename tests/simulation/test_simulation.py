"""10,000 challenges under every fault at once: nothing is asked twice, released wrongly, lost, or left open.

A seed that fails is named together with the command that shows that very run, event by event:

    python -m tests.simulation.replay --seed 17 --challenges 500 --trace

`--storm` makes nearly everything fail at first, `--race 0.5` lets other writes come in between, `--crash-at 312` puts
one crash at one step, `--store sqlite` runs over a file. What must hold stands in `invariants.py`, how often what goes
wrong in `dials.py`. `pytest -s` prints what happened.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from cardwatch.services.reply_turn import Result
from tests.simulation.dials import Dials
from tests.simulation.replay import summary
from tests.simulation.world import World

SEEDS, CHALLENGES = 20, 500
"""10,000 in all; each seed follows one of the rules in turn."""

QUICK_SEEDS = 4
"""Those of `make test`, one for each of the rules; the slow suites run them all."""


def seeds(count: int) -> list[ParameterSet]:
    """Return seeds, of which all but the first few belong to the slow suites."""
    return [
        pytest.param(seed, marks=pytest.mark.slow) if seed >= QUICK_SEEDS else pytest.param(seed)
        for seed in range(count)
    ]


STORMS, CHALLENGES_IN_STORM = 40, 300
STEPS_BETWEEN_CRASHES = 9
"""Of the quick suite; the slow one leaves none out."""


class Totals:
    """What happened over all runs of this file."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.took_s = 0.0

    def run(self, world: World) -> World:
        """Let a world run, and add up what happened."""
        started = time.perf_counter()
        world.run()
        self.took_s += time.perf_counter() - started
        self.counts += world.stage.counts
        self.counts.update({"challenges": world.watch.challenges, "events": world.stage.events, "runs": 1})
        return world


@pytest.fixture(scope="module")
def totals() -> Iterator[Totals]:
    """Add up all runs, and print the sum."""
    added = Totals()
    yield added
    sys.stdout.write(f"\n{summary(added.counts)}\n{added.took_s:.1f} s\n")


@pytest.mark.parametrize("seed", seeds(SEEDS))
def test_no_fault_releases_money_asks_twice_or_loses_an_answer(seed: int, totals: Totals) -> None:
    """Every invariant holds at every write, and at the end."""
    world = totals.run(World(seed, challenges=CHALLENGES))
    assert world.watch.challenges >= CHALLENGES


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(STORMS))
def test_nothing_gives_way_where_hardly_anything_works(seed: int, totals: Totals) -> None:
    """The same where nearly half of all sends are unclear, workers stand still, and processes die all the time."""
    totals.run(World(seed, challenges=CHALLENGES_IN_STORM, dials=Dials.storm()))


@pytest.mark.parametrize("seed", seeds(8))
def test_no_write_relies_on_what_was_true_when_it_was_decided(seed: int, totals: Totals) -> None:
    """Something else is written between reading and writing half of the time, about few telephones."""
    world = totals.run(World(seed, challenges=250, phones=8, dials=Dials(race=0.5)))
    assert world.stage.counts["writes lost to another"] > 50


def test_a_crash_at_any_step_loses_nothing(totals: Totals) -> None:
    """One crash, at every ninth step of a small world: before and after each write and each call of a provider."""
    _crash_at_steps(totals, STEPS_BETWEEN_CRASHES)


@pytest.mark.slow
def test_a_crash_at_each_single_step_loses_nothing(totals: Totals) -> None:
    """The same with no step left out."""
    _crash_at_steps(totals, 1)


def _crash_at_steps(totals: Totals, every: int) -> None:
    steps = World(1, challenges=8, dials=Dials(crash_at=sys.maxsize))
    steps.run()
    assert steps.stage.counts["crashes"] == 0
    for step in range(1, steps.stage.steps + 1, every):
        world = totals.run(World(1, challenges=8, dials=Dials(crash_at=step)))
        assert world.stage.counts["crashes"] == 1


@pytest.mark.parametrize("seed", [4, pytest.param(3, marks=pytest.mark.slow)])
def test_the_embedded_store_holds_the_same(seed: int, tmp_path: Path, totals: Totals) -> None:
    """Over a file that is closed and opened again in each crash of the machine."""
    world = totals.run(World(seed, challenges=200, sqlite=tmp_path / "world.db"))
    assert world.stage.counts["crashes of the whole machine"] > 10


def test_a_seed_gives_the_same_log_on_both_stores(tmp_path: Path) -> None:
    """Entry for entry; and all that happened is the same."""
    runs = [World(5, challenges=60), World(5, challenges=60), World(5, challenges=60, sqlite=tmp_path / "world.db")]
    for world in runs:
        world.run()
    first, *others = runs
    assert len(first.log) > 300
    for other in others:
        assert other.log == first.log
        assert other.stage.counts == first.stage.counts


def test_the_simulation_meets_what_it_is_for(totals: Totals) -> None:
    """Every fault and every outcome does happen in the runs before this one."""
    for seed in range(4):
        totals.run(World(seed, challenges=300))
    met = {result for result in Result if any(totals.counts[f"{by} answer: {result}"] for by in ("sms", "email"))}
    assert met >= set(Result) - {Result.PHONE_CHANGED}
    for fault in (
        "crash before a write",
        "crash after a write",
        "crash before a send",
        "crash after a send",
        "crashes of the whole machine",
        "error: StoreUnavailable",
        "claims given back",
        "records lost by the provider",
        "looked up: there",
        "looked up: not there",
        "sent again: callback",
        "report: stale",
        "links scanned",
        "buttons pressed by scanners",
        "forms refused",
        "texts lost",
        "webhooks delivered again after a crash",
        "email answer: locked",
        "escalated",
    ):
        assert totals.counts[fault], fault
