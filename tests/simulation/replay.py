"""Run one seed again, and show what happens: `python -m tests.simulation.replay --seed 17 --challenges 500 --trace`."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.simulation.dials import Dials
from tests.simulation.world import World


def summary(counts: Counter[str]) -> str:
    """Return counts as a table, by name."""
    width = max((len(name) for name in counts), default=0)
    return "\n".join(f"{name:<{width}}  {counts[name]:>8}" for name in sorted(counts))


def main() -> int:
    """Run a seed; 1 if an invariant does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--challenges", type=int, default=500)
    parser.add_argument("--crash-at", type=int, default=0, help="the one step at which a crash comes")
    parser.add_argument("--storm", action="store_true", help="hardly anything works at the first attempt")
    parser.add_argument("--race", type=float, default=0.0, help="how often one write overtakes another")
    parser.add_argument("--phones", type=int, default=0, help="how many there are; 0: as the seed says")
    parser.add_argument("--store", choices=("memory", "sqlite"), default="memory")
    parser.add_argument("--trace", action="store_true", help="print every event")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        world = World(
            options.seed,
            challenges=options.challenges,
            dials=(Dials.storm if options.storm else Dials)(crash_at=options.crash_at, race=options.race),
            phones=options.phones,
            sqlite=Path(folder) / "world.db" if options.store == "sqlite" else None,
            trace=options.trace,
        )
        world.run()
    took_s = time.perf_counter() - started
    sys.stdout.write(f"{summary(world.stage.counts)}\n")
    sys.stdout.write(f"{world.watch.challenges} challenges, {world.stage.events} events, {took_s:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
