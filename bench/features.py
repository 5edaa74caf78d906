"""What the features of one payment cost: microseconds to load, read, update and dump both states, and their sizes.

    .venv/bin/python bench/features.py [--accounts 400] [--days 90] [--measured 20000]

A population spends for some days through stored bytes, as on the server; the last payments are timed. Times are wall
times of this thread, interpreted; on a busy machine look at the least of several runs.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from cardwatch.domain.place import place_at
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.features.event import PaymentEvent

T = TypeVar("T")

STEPS = ("load", "read", "update", "dump")
START_S = 1_700_000_000
MERCHANTS = 600
HEAVY_SHARE = 0.02
"""Share of accounts that pay forty times a day, for the largest states."""


def payments(accounts: int, days: int, seed: int) -> list[PaymentEvent]:
    """Everyday payments of a population in order of time: few favourite merchants, many others, near home."""
    random_source = random.Random(seed)
    events: list[PaymentEvent] = []
    for number in range(accounts):
        home = (random_source.uniform(30, 48), random_source.uniform(-122, -75))
        favourites = random_source.sample(range(MERCHANTS), 12)
        daily = 40.0 if random_source.random() < HEAVY_SHARE else random_source.lognormvariate(0.3, 0.7)
        level = random_source.lognormvariate(8, 0.5)
        for _ in range(int(daily * days)):
            time_s = START_S + random_source.randrange(days * 86400)
            place = place_at(home[0] + random_source.gauss(0, 0.2), home[1] + random_source.gauss(0, 0.2))
            often = random_source.random() < 0.7
            merchant = random_source.choice(favourites) if often else int(random_source.paretovariate(0.5)) % MERCHANTS
            events.append(
                PaymentEvent(
                    time_s=time_s,
                    account=f"user_{number}",
                    merchant=f"merchant {merchant}",
                    amount_minor=max(1, int(level * random_source.lognormvariate(0, 0.9))),
                    foreign_currency=random_source.random() < 0.01,
                    local_time_s=time_s - 6 * 3600,
                    home=(place.x, place.y, place.z),
                    place=(place.x, place.y, place.z) if random_source.random() < 0.7 else None,
                    place_name=f"town {merchant % 9}",
                    country="US",
                )
            )
    return sorted(events, key=lambda event: event.time_s)


class Timings:
    """Durations of each step in nanoseconds."""

    def __init__(self) -> None:
        self.of: dict[str, list[int]] = {step: [] for step in (*STEPS, "all")}

    def run(self, step: str, call: Callable[..., T], *arguments: object) -> T:
        """Call and measure."""
        begun = time.perf_counter_ns()
        result = call(*arguments)
        self.of[step].append(time.perf_counter_ns() - begun)
        return result

    def forget(self) -> None:
        """Start over, once warm."""
        for durations in self.of.values():
            durations.clear()


def measure(engine: FeatureEngine, events: Sequence[PaymentEvent], measured: int) -> dict[tuple[str, str], bytes]:
    """Run all payments, print what the last ones cost, and return the stored states."""
    stored: dict[tuple[str, str], bytes] = {}
    timings = Timings()
    for position, event in enumerate(events):
        if position == len(events) - measured:
            timings.forget()
        keys = engine.keys(event)
        states = timings.run("load", engine.load, [stored.get(key) for key in keys])
        timings.run("read", engine.read, event, states)
        timings.run("update", engine.update, event, states)
        stored.update(zip(keys, timings.run("dump", engine.dump, states), strict=True))
    timings.of["all"] = [sum(parts) for parts in zip(*(timings.of[step] for step in STEPS), strict=True)]
    print(f"{len(engine.names)} features, {len(timings.of['all']):,} payments timed, both entities, µs")
    print(f"{'step':8}{'p50':>8}{'p90':>8}{'p99':>8}")
    for step, durations in timings.of.items():
        print(f"{step:8}" + "".join(f"{quantile(durations, share) / 1000:8.1f}" for share in (0.5, 0.9, 0.99)))
    return stored


def quantile(values: Sequence[int], share: float) -> int:
    """Return the value below which a share of all lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=400)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--measured", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    events = payments(arguments.accounts, arguments.days, arguments.seed)
    stored = measure(default_engine(), events, min(arguments.measured, len(events)))
    print(f"\n{'state':10}{'keys':>8}{'p50':>8}{'p95':>8}{'max':>8}  bytes, after {arguments.days} days")
    for entity in ("account", "merchant"):
        sizes = [len(blob) for (of, _), blob in stored.items() if of == entity]
        shown = (quantile(sizes, 0.5), quantile(sizes, 0.95), max(sizes))
        print(f"{entity:10}{len(sizes):8,}" + "".join(f"{size:8,}" for size in shown))


if __name__ == "__main__":
    main()
