"""The work of `bench/features.py`.

A population spends for some days through stored bytes, as on the server, with devices and with labels that arrive
late; its last payments are timed, each with all its entities. Times are wall times of this thread.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

import numpy as np
from bench.machine import machine
from bench.store import checkpoint_until

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.changes import PutState
from cardwatch.domain.place import place_at
from cardwatch.features.compiled import kernels, numba_installed
from cardwatch.features.compiled_engine import CompiledEngine
from cardwatch.features.encode import encode
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.features.event import PaymentEvent
from cardwatch.features.machine_code import file_name, load, make

T = TypeVar("T")
Key = tuple[str, str]
Stored = dict[Key, bytes]

START_S = 1_700_000_000
DAY_S = 86_400
MERCHANTS = 600
HEAVY_SHARE = 0.02
"""Share of accounts that pay forty times a day, for the largest states."""
FRAUD_SHARE = 0.004
LABEL_LATE_S = 4 * DAY_S
HISTORY_GROUP = 500
"""States put into the store at a time before it is measured."""


def payments(accounts: int, days: int, seed: int) -> list[PaymentEvent]:
    """Everyday payments of a population in order of time: few favourite merchants, many others, near home."""
    drawn = random.Random(seed)
    events: list[PaymentEvent] = []
    for number in range(accounts):
        home = (drawn.uniform(30, 48), drawn.uniform(-122, -75))
        favourites = drawn.sample(range(MERCHANTS), 12)
        daily = 40.0 if drawn.random() < HEAVY_SHARE else drawn.lognormvariate(0.3, 0.7)
        level = drawn.lognormvariate(8, 0.5)
        for _ in range(int(daily * days)):
            time_s = START_S + drawn.randrange(days * DAY_S)
            place = place_at(home[0] + drawn.gauss(0, 0.2), home[1] + drawn.gauss(0, 0.2))
            often = drawn.random() < 0.7
            merchant = drawn.choice(favourites) if often else int(drawn.paretovariate(0.5)) % MERCHANTS
            online = drawn.random() < 0.5
            events.append(
                PaymentEvent(
                    time_s=time_s,
                    account=f"user_{number}",
                    merchant=f"merchant {merchant}",
                    amount_minor=max(1, int(level * drawn.lognormvariate(0, 0.9))),
                    foreign_currency=drawn.random() < 0.01,
                    local_time_s=time_s - 6 * 3600,
                    home=(place.x, place.y, place.z),
                    place=(place.x, place.y, place.z) if drawn.random() < 0.7 else None,
                    place_name=f"town {merchant % 9}",
                    country="US",
                    device=f"device {number} {int(drawn.random() ** 3 * 3)}" if online else None,
                )
            )
    return sorted(events, key=lambda event: event.time_s)


def live(engine: FeatureEngine, events: Sequence[PaymentEvent], seed: int) -> Stored:
    """Run payments and the labels of some; returns all states as they are stored."""
    drawn, stored, labels = random.Random(seed), Stored(), list[PaymentEvent]()
    for event in events:
        while labels and labels[0].time_s + LABEL_LATE_S < event.time_s:
            frauds = labels.pop(0)
            apply(engine, stored, engine.labelled_keys(frauds), lambda states, of=frauds: engine.relabel(of, states, 1))
        apply(engine, stored, engine.keys(event), lambda states, of=event: engine.update(of, states))
        if drawn.random() < FRAUD_SHARE:
            labels.append(event)
    return stored


def apply(engine: FeatureEngine, stored: Stored, keys: Sequence[Key], effect: Callable[..., None]) -> None:
    """Load states, change them, and store them again."""
    states = engine.load(tuple(keys), [stored.get(key) for key in keys])
    effect(states)
    stored.update(zip(keys, engine.dump(states), strict=True))


class Timings:
    """Durations by what was done, in nanoseconds."""

    def __init__(self) -> None:
        self.of: dict[str, list[int]] = {}

    def run(self, step: str, call: Callable[..., T], *arguments: object) -> T:
        """Call and measure."""
        begun = time.perf_counter_ns()
        result = call(*arguments)
        self.of.setdefault(step, []).append(time.perf_counter_ns() - begun)
        return result

    def show(self, how: str) -> None:
        """Print a row for each step, in µs."""
        for step, durations in self.of.items():
            shown = "".join(f"{quantile(durations, share) / 1000:9.1f}" for share in (0.5, 0.9, 0.99))
            print(f"{how:13}{step:32}{shown}", flush=True)


def measure(engine: FeatureEngine, events: Sequence[PaymentEvent], stored: Stored) -> Timings:
    """Time each step of each payment, on states that are kept as bytes."""
    stored, timings = dict(stored), Timings()
    for event in events:
        keys = engine.keys(event)
        states = timings.run("load", engine.load, keys, [stored.get(key) for key in keys])
        timings.run("step (encode, read, update)", engine.step, event, states)
        stored.update(zip(keys, timings.run("dump", engine.dump, states), strict=True))
    timings.of["load, step, dump"] = [sum(parts) for parts in zip(*timings.of.values(), strict=True)]
    return timings


def measure_stored(
    engines: Sequence[FeatureEngine], events: Sequence[PaymentEvent], stored: Stored, folder: Path | None
) -> list[Timings]:
    """Time payments that read their states from SQLite and commit them, each in a group of its own.

    The engines take turns, so that whatever else the disk does meets them alike.
    """
    timings = [Timings() for _ in engines]
    with (
        tempfile.TemporaryDirectory(prefix="cardwatch-bench-", dir=folder) as scratch,
        filled(scratch, stored) as store,
    ):
        for at, event in enumerate(events):
            turn = at % len(engines)
            begun = time.perf_counter_ns()
            timings[turn].run("SQLite read, features, write", pay, engines[turn], store, event)
            timings[turn].run("commit (disk)", store.commit_group)
            timings[turn].of.setdefault("with SQLite read and commit", []).append(time.perf_counter_ns() - begun)
    return timings


def pay(engine: FeatureEngine, store: SqliteStore, event: PaymentEvent) -> None:
    """Read, compute and write one payment's states; the group stays open."""
    keys = engine.keys(event)
    store.begin_group()
    found = store.states(keys)
    states = engine.load(keys, [state[1] if state else None for state in found])
    engine.step(event, states)
    after = zip(keys, found, engine.dump(states), strict=True)
    store.apply([PutState(*key, state[0] + 1 if state else 1, blob) for key, state, blob in after])


@contextmanager
def filled(folder: str, stored: Stored) -> Iterator[SqliteStore]:
    """Open a store that holds the states, with its log carried over beside it as in the server."""
    store = SqliteStore(Path(folder) / "cardwatch.db")
    rows = list(stored.items())
    for at in range(0, len(rows), HISTORY_GROUP):
        with store.group():
            store.apply([PutState(*key, 1, blob) for key, blob in rows[at : at + HISTORY_GROUP]])
    stop = Event()
    thread = Thread(target=checkpoint_until, args=(store.checkpointer(), stop))
    thread.start()
    try:
        yield store
    finally:
        stop.set()
        thread.join()
        store.close()


def quantile(values: Sequence[int], share: float) -> int:
    """Return the value below which a share of all lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def show_sizes(stored: Stored, days: int) -> None:
    """Print how large the states of each entity are."""
    print(f"\n{'state':13}{'keys':>9}{'p50':>9}{'p95':>9}{'max':>9}  bytes, after {days} days")
    for entity in ("account", "merchant", "device", "pair"):
        sizes = [len(blob) for (of, _), blob in stored.items() if of == entity]
        shown = (quantile(sizes, 0.5), quantile(sizes, 0.95), max(sizes))
        print(f"{entity:13}{len(sizes):9,}" + "".join(f"{size:9,}" for size in shown), flush=True)


def show_kernels(engine: FeatureEngine, events: Sequence[PaymentEvent], folder: Path) -> None:
    """Print how fast the kernels of replay are, on the payments sorted by key."""
    print(f"\n{'kernel':13}{'rows per CPU-second':>22}")
    for entity, kernel in kernels(engine, folder=folder).items():
        keyed = sorted(
            (key, at)
            for at, event in enumerate(events)
            for of, key in [*engine.keys(event), ("payment", "")]
            if of == entity
        )
        rows = np.array([encode(events[at]) for _, at in keyed])
        starts = [at for at, (key, _) in enumerate(keyed) if at == 0 or key != keyed[at - 1][0]]
        arguments = (rows, np.zeros(len(rows), np.int64), np.array([*starts, len(rows)]))
        best = float("inf")
        for _ in range(5):  # the first one compiles
            state, out = np.zeros(kernel.state_size, np.int64), np.full((len(rows), kernel.width), np.nan)
            begun = time.thread_time()
            kernel.run(*arguments, state, out)
            best = min(best, time.thread_time() - begun)
        print(f"{entity:13}{len(rows) / best:22,.0f}", flush=True)


def engines(folder: Path) -> dict[str, FeatureEngine]:
    """Return the engines to measure, the compiled one first, where it can be had; the first time that takes a while."""
    if not numba_installed():
        return {"interpreted": default_engine()}
    engine = CompiledEngine()
    path = folder / file_name(engine)
    engine.go_over(load(path if path.exists() else make(engine, folder)))
    return {"compiled": engine, "interpreted": default_engine()}


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=400)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--measured", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="where to put the store; on the disk to be measured")
    parser.add_argument("--compiled", type=Path, default=Path.home() / ".cache" / "cardwatch-bench")
    options = parser.parse_args()
    print(machine(), flush=True)
    events = payments(options.accounts, options.days, options.seed)
    measured = min(options.measured, len(events))
    by_name = engines(options.compiled)
    stored = live(next(iter(by_name.values())), events[:-measured], options.seed)
    print(f"\n{len(default_engine().names)} features; {measured:,} payments after {len(events) - measured:,}, µs")
    print(f"{'':45}{'p50':>9}{'p90':>9}{'p99':>9}")
    for name, engine in by_name.items():
        measure(engine, events[-measured:], stored).show(name)
    whole = measure_stored(list(by_name.values()), events[-measured:], stored, options.folder)
    for name, timings in zip(by_name, whole, strict=True):
        timings.show(name)
    show_sizes(stored, options.days)
    if "compiled" in by_name:
        show_kernels(default_engine(), events, options.compiled)
    return 0
