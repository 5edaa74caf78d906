"""What the embedded store costs: µs per verb and payment, and commits per second, in groups of several sizes.

    .venv/bin/python bench/store.py [--seconds 3] [--accounts 20000] [--rate 1000] [--no-checkpointer] [--folder DIR]

One payment is what the running system does with it: recorded in one group, then in the next read back with its
account and two entity states, decided, both states and the consumer's cursor written. CPU is this thread's;
the commit's own time, which waits for the disk, is shown beside it. Without --rate payments come as fast as the
store takes them, which is also as fast as a checkpointer can fall behind.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.adapters.sqlite.checkpoint import INTERVAL_MS, Checkpointer
from cardwatch.domain.account import Account, Home
from cardwatch.domain.changes import AddTransaction, Change, DecideTransaction, PutAccount, PutState, SetCursor
from cardwatch.domain.decision import DecidedBy, Decision, Outcome
from cardwatch.domain.money import Money
from cardwatch.domain.place import place_at
from cardwatch.domain.transaction import Status, Transaction

T = TypeVar("T")
SEATTLE = place_at(47.60621, -122.33207, name="Seattle", country="US")
STATE_BYTES = 512
VECTOR_BYTES = 60 * 8


class Timings:
    """Durations by verb, in nanoseconds."""

    def __init__(self) -> None:
        self._by_verb: dict[str, list[int]] = {}

    def run(self, verb: str, call: Callable[..., T], *arguments: object) -> T:
        """Call and measure."""
        durations = self._by_verb.setdefault(verb, [])
        started = time.perf_counter_ns()
        result = call(*arguments)
        durations.append(time.perf_counter_ns() - started)
        return result

    def table(self, group: int) -> str:
        """Return p50, p99 and maximum of each verb in µs, one row each."""
        rows = []
        for verb, durations in self._by_verb.items():
            ordered = sorted(durations)
            p50, p99, p999 = (ordered[int(len(ordered) * q)] / 1000 for q in (0.5, 0.99, 0.999))
            rows.append(f"{group:>6} {verb:<28} {p50:>9.1f} {p99:>9.1f} {p999:>9.1f} {ordered[-1] / 1000:>10.1f}")
        return "\n".join(rows)


class Load:
    """A stream of payments of known accounts at Zipf-like merchants."""

    def __init__(self, store: SqliteStore, accounts: int) -> None:
        self._store = store
        self._random = random.Random(7)
        self._accounts = accounts
        self._versions: dict[tuple[str, str], int] = {}
        self._cursor = 0
        self._made = 0
        changes = [
            PutAccount(Account(user_id=f"user_{n:06}", phone_number=f"+1202{n:07}", home=Home("Seattle, WA", SEATTLE)))
            for n in range(accounts)
        ]
        with store.group():
            for change in changes:
                store.apply([change])

    def payments(self, count: int) -> list[Transaction]:
        """Return the next payments."""
        made = []
        for _ in range(count):
            self._made += 1
            merchant = f"Merchant {int(self._random.paretovariate(0.6)) % 5000}"
            made.append(
                Transaction(
                    transaction_id=f"{self._made:010x}{self._random.getrandbits(64):016x}",
                    user_id=f"user_{self._random.randrange(self._accounts):06}",
                    amount=Money(self._random.randrange(100, 20_000), "USD"),
                    merchant=merchant,
                    merchant_id=merchant.lower(),
                    timestamp_ms=1_790_000_000_000 + self._made,
                    received_at_ms=1_790_000_000_000 + self._made,
                    fingerprint=f"{self._random.getrandbits(256):064x}",
                    account_currency="USD",
                    utc_offset_s=-25_200,
                    location="Seattle, WA",
                    place=SEATTLE,
                    ip="192.0.2.1",
                )
            )
        return made

    def record(self, payments: list[Transaction], timings: Timings) -> None:
        """Record payments in one group."""
        self._store.begin_group()
        for payment in payments:
            timings.run("apply: add", self._store.apply, [AddTransaction(payment)])
        timings.run("commit: recorded", self._store.commit_group)

    def decide(self, decisions: list[list[Change]], payments: list[Transaction], timings: Timings) -> None:
        """Decide payments in one group."""
        store = self._store
        store.begin_group()
        for payment, changes in zip(payments, decisions, strict=True):
            timings.run("transaction", store.transaction, payment.transaction_id)
            timings.run("account", store.account, payment.user_id)
            timings.run("states (2)", store.states, [("account", payment.user_id), ("merchant", payment.merchant_id)])
            lost = timings.run("apply: decide, states, cursor", store.apply, changes)
            assert lost is None  # noqa: S101
        timings.run("commit: decided", store.commit_group)

    def decision(self, payment: Transaction) -> list[Change]:
        """Return what deciding a payment writes."""
        keys = [("account", payment.user_id), ("merchant", payment.merchant_id)]
        states = []
        for entity, key in keys:
            self._versions[entity, key] = version = self._versions.get((entity, key), 0) + 1
            states.append(PutState(entity, key, version, self._random.randbytes(STATE_BYTES)))
        self._cursor += 1
        decision = Decision(
            outcome=Outcome.APPROVE,
            decided_by=DecidedBy.THRESHOLD,
            decided_at_ms=payment.received_at_ms,
            score=0.012345,
            threshold=0.5,
            model_version="2026-11-22",
            spec_hash="0123456789abcdef",
            state_versions={f"{s.entity}:{s.key}": s.version for s in states},
            vector=self._random.randbytes(VECTOR_BYTES),
        )
        return [
            DecideTransaction(payment.transaction_id, decision, Status.APPROVED),
            *states,
            SetCursor("score", self._cursor - 1, self._cursor),
        ]


def checkpoint_until(checkpointer: Checkpointer, stop: Event) -> None:
    """Carry the write-ahead log over beside the writer, as the runtime does."""
    while not stop.wait(INTERVAL_MS / 1000):
        checkpointer.run()
    checkpointer.close()


def measure(folder: Path, *, group: int, seconds: float, accounts: int, rate: float, checkpoints: bool) -> str:
    """Run one group size on a fresh store; returns its rows of the table."""
    store = SqliteStore(folder / "cardwatch.db")
    load, timings = Load(store, accounts), Timings()
    stop = Event()
    checkpointer = Thread(target=checkpoint_until, args=(store.checkpointer(), stop)) if checkpoints else None
    if checkpointer:
        checkpointer.start()
    commits, payments, cpu_s, commit_wall_s = 0, 0, 0.0, 0.0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        batch = load.payments(group)
        decisions = [load.decision(payment) for payment in batch]
        cpu_before, wall_before = time.thread_time(), time.perf_counter()
        load.record(batch, timings)
        load.decide(decisions, batch, timings)
        cpu_s += time.thread_time() - cpu_before
        commit_wall_s += time.perf_counter() - wall_before
        commits, payments = commits + 2, payments + group
        if rate:
            time.sleep(max(0.0, started + payments / rate - time.perf_counter()))
    stop.set()
    if checkpointer:
        checkpointer.join()
    store.close()
    return (
        f"{timings.table(group)}\n{group:>6} {'whole payment, CPU':<28} {cpu_s / payments * 1e6:>9.1f}"
        f"   ({payments / commit_wall_s:,.0f} payments/s, {commits / commit_wall_s:,.0f} commits/s)"
    )


def main() -> None:
    """Measure every group size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--groups", type=int, nargs="*", default=[1, 8, 32, 256])
    parser.add_argument("--rate", type=float, default=0.0, help="payments per second offered; 0 for all it takes")
    parser.add_argument("--no-checkpointer", action="store_true", help="let commits carry the log over")
    parser.add_argument("--folder", type=Path, default=None, help="where to put the files; on the disk to be measured")
    options = parser.parse_args()
    print(f"{'group':>6} {'verb':<28} {'p50 us':>9} {'p99 us':>9} {'p99.9 us':>9} {'max us':>10}")
    for group in options.groups:
        folder = Path(tempfile.mkdtemp(prefix="cardwatch-bench-", dir=options.folder))
        try:
            print(
                measure(
                    folder,
                    group=group,
                    seconds=options.seconds,
                    accounts=options.accounts,
                    rate=options.rate,
                    checkpoints=not options.no_checkpointer,
                ),
                flush=True,
            )
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
