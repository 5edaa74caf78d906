"""The work of `bench/memory.py`."""

import argparse
import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
from bench.keepalive import KeepAlive, on_connections
from bench.machine import machine
from bench.population import person
from bench.server_process import ServerProcess

from cardwatch.domain.account import Account
from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import default_engine
from cardwatch.learning.simulate.demo import everyday_history
from cardwatch.runtime.bootstrap import open_gazetteer, open_store
from cardwatch.runtime.settings import read_settings
from cardwatch.services.import_history import import_history
from cardwatch.services.put_account import build_account

RESIDENT_MB_MAX = 300.0
PATTERNS = 200
"""Simulated histories; the accounts share them, each payment under its own id."""

_CONNECTIONS = 32


def history(accounts: int, payments: int, now_ms: int) -> Iterator[HistoryRow]:
    """Yield a few past payments of each account."""
    gazetteer = open_gazetteer()
    people: list[Account] = []
    patterns = []
    for number in range(PATTERNS):
        submission = person(number)
        account = build_account(f"p_{number}", submission, current=None, gazetteer=gazetteer, now_ms=now_ms)
        people.append(account)
        past = everyday_history(account, seed=1, days=30, until_ms=now_ms, gazetteer=gazetteer)
        patterns.append(past[-payments:])
    for number in range(accounts):
        user_id = f"bench_{number:06d}"
        account = msgspec.structs.replace(
            people[number % PATTERNS], user_id=user_id, phone_number=person(number).phone_number
        )
        for position, payment in enumerate(patterns[number % PATTERNS]):
            own = msgspec.structs.replace(payment, transaction_id=f"h{number}_{position}", user_id=user_id)
            yield HistoryRow(own, account)


def write_state(data_dir: Path, *, accounts: int, payments: int) -> int:
    """Import the history of all accounts; returns the number of payments."""
    store = open_store(read_settings({}, data_dir=data_dir))
    now_ms = time.time_ns() // 1_000_000
    try:
        rows = history(accounts, payments, now_ms)
        return import_history(rows, store=store, engine=default_engine(), now_ms=now_ms).added
    finally:
        store.close()


def measure(scratch: Path, options: argparse.Namespace) -> bool:
    """Write the state, serve payments, print the memory; returns whether all was well."""
    rows = write_state(scratch / "data", accounts=options.accounts, payments=options.history)
    size_mb = (scratch / "data" / "cardwatch.db").stat().st_size / 1e6
    print(f"{options.accounts:,} accounts with state after {rows:,} payments, {size_mb:,.0f} MB on disk", flush=True)
    generator = random.Random(1)
    statuses: Counter[int] = Counter()

    async def pay(connection: KeepAlive, number: object) -> None:
        body = {"user_id": f"bench_{number:06d}", "amount": "12.50", "merchant": f"Shop {generator.randrange(5_000)}"}
        status, _ = await connection.call("POST", "/transaction", msgspec.json.encode(body))
        statuses[status] += 1

    with ServerProcess(scratch / "data", log=scratch / "server.log") as server:
        print(f"ready after {server.start_s:.2f} s: {server.resident_mb():.0f} MB resident", flush=True)
        for _ in range(options.turns):
            spread = (generator.randrange(options.accounts) for _ in range(options.payments // options.turns))
            asyncio.run(on_connections(server.port, _CONNECTIONS, spread, pay))
            print(f"{sum(statuses.values()):>9,} payments: {server.resident_mb():.0f} MB resident", flush=True)
        peak_mb = server.resident_mb(peak=True)
    print(f"at most {peak_mb:.0f} MB resident (must: {RESIDENT_MB_MAX:.0f}); answers {dict(statuses)}")
    return peak_mb < RESIDENT_MB_MAX and set(statuses) == {201}


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--history", type=int, default=3, help="past payments of each account")
    parser.add_argument("--payments", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=4, help="how often to look at the memory")
    parser.add_argument("--folder", type=Path, default=None, help="where to put the files")
    options = parser.parse_args()
    print(machine(), flush=True)
    scratch = Path(tempfile.mkdtemp(prefix="cardwatch-memory-", dir=options.folder))
    try:
        return 0 if measure(scratch, options) else 1
    finally:
        shutil.rmtree(scratch)
