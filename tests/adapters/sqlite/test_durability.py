"""What was acknowledged survives: closing, and kill -9 in the middle of writing."""

import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.transaction import Status
from tests.contracts.reads import everything
from tests.contracts.test_ledger import HOLDS, WORLD

ROOT = Path(__file__).parents[3]

WRITER = """
    import sys
    sys.path.insert(0, sys.argv[2])
    from cardwatch.adapters.sqlite import SqliteStore
    from cardwatch.domain.changes import AddTransaction, DecideTransaction, PutState, SetCursor
    from cardwatch.domain.transaction import Status
    from tests.builders import make_decision, make_transaction

    store = SqliteStore(sys.argv[1], wal_autocheckpoint_pages=20)
    done = store.cursor("score")
    print("open", flush=True)
    while True:
        keys = [f"txn_{done + n:06}" for n in range(1, 9)]
        with store.group():
            for key in keys:
                store.apply([AddTransaction(make_transaction(key))])
        with store.group():
            for key in keys:
                decide = DecideTransaction(key, make_decision(), Status.APPROVED)
                state = PutState("account", "user_001", done + 1, b"x" * 600)
                assert store.apply([decide, state, SetCursor("score", done, done + 1)]) is None
                done += 1
        print(done, flush=True)
"""


def test_reopening_finds_everything(path: Path) -> None:
    """All that was applied reads the same after closing and opening."""
    ids = {"user_ids": ("user_001", "user_002"), "challenge_ids": ("chl_1", "chl_2")}
    store = SqliteStore(path)
    assert store.apply(WORLD) is None
    assert store.apply(HOLDS[:3]) is None
    before = everything(store, **ids)
    store.close()
    store = SqliteStore(path)
    assert everything(store, **ids) == before
    store.close()


def write_until_killed(path: Path, seconds: float) -> int:
    """Let a child write groups, kill it, and return the last number that it acknowledged (0: none)."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(ROOT)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(seconds)
        child.kill()
        acknowledged = child.stdout.read().split()
    return int(acknowledged[-1]) if acknowledged else 0


@pytest.mark.timeout(120)
def test_kill_9_loses_nothing_acknowledged(path: Path) -> None:
    """After each kill: all acknowledged payments are there, effects stand with their cursor, the file is sound."""
    delays = random.Random(20261122)
    for _ in range(6):
        acknowledged = write_until_killed(path, delays.uniform(0.02, 0.3))
        store = SqliteStore(path)
        assert store._database.all("PRAGMA integrity_check") == [("ok",)]
        records = [record for record, _ in store.export()]
        decided = [record for record in records if record.status is Status.APPROVED]
        done = store.cursor("score")
        assert done >= acknowledged
        assert len(decided) == done
        assert len(records) in (done, done + 8)
        state = store.states([("account", "user_001")])[0]
        assert (state[0] if state else 0) == done
        kinds = [entry.kind for entry in store.log(after=0, limit=1_000_000)]
        assert kinds.count("transaction.recorded") == len(records)
        assert kinds.count("transaction.decided") == len(decided)
        store.close()
