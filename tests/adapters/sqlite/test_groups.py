"""Groups as the runtime uses them: commits in another thread, readers beside it, checkpoints, and a full disk."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cardwatch.adapters.sqlite import SqliteReader, SqliteStore
from cardwatch.domain.changes import AddDeadLetter, AddTransaction, Change, IllegalMove, MoveTransaction, PutState
from cardwatch.domain.errors import StoreUnavailable
from cardwatch.domain.transaction import Status
from tests.builders import NOW_MS, make_transaction

BIG = b"x" * 200_000


def limit_pages(store: SqliteStore, more: int) -> None:
    """Let the file grow by so many pages only: a disk that fills up."""
    pages = store._database.one("PRAGMA page_count")
    assert pages is not None
    store._database.one(f"PRAGMA max_page_count = {pages[0] + more}")


def keys(store: SqliteStore | SqliteReader) -> list[str]:
    """Return the payments in the store, and check that the log has exactly these."""
    stored = [record.transaction.transaction_id for record, _ in store.export()]
    assert [entry.key for entry in store.log(after=0, limit=10_000)] == stored
    return stored


def test_a_group_commits_in_another_thread(store: SqliteStore) -> None:
    """Statements run here, the commit there, group after group."""
    with ThreadPoolExecutor(1) as commits:
        for group in range(20):
            store.begin_group()
            for number in range(8):
                assert store.apply([AddTransaction(make_transaction(f"txn_{group}_{number}"))]) is None
            commits.submit(store.commit_group).result()
    assert len(keys(store)) == 160


def test_a_reader_sees_what_is_committed(store: SqliteStore) -> None:
    """Never an open group, always the one that was committed."""
    reader = store.reader()
    store.begin_group()
    assert store.apply([AddTransaction(make_transaction())]) is None
    assert reader.transaction("txn_1") is None
    store.commit_group()
    assert reader.transaction("txn_1") == store.transaction("txn_1")
    reader.close()


def test_a_reader_cannot_write(store: SqliteStore) -> None:
    """Its connection refuses, whatever is asked of it."""
    reader = store.reader()
    with pytest.raises(StoreUnavailable):
        reader._database.run("DELETE FROM change_log")
    reader.close()


def test_a_rolled_back_group_is_gone(store: SqliteStore) -> None:
    """Giving a group up leaves nothing, and giving up nothing is no fault."""
    store.begin_group()
    assert store.apply([AddTransaction(make_transaction())]) is None
    store.roll_back_group()
    store.roll_back_group()
    assert keys(store) == []


def test_a_fault_of_the_caller_undoes_only_its_list(store: SqliteStore) -> None:
    """A list that raised is undone to the last byte, a lone change too."""
    unspeakable = MoveTransaction("txn_1", Status.APPROVED, Status.IN_REVIEW, "\ud800")
    with store.group():
        assert store.apply([AddTransaction(make_transaction())]) is None
        store._database.run("UPDATE transactions SET status = 'approved'")
        with pytest.raises(UnicodeEncodeError):
            store.apply([unspeakable])
        with pytest.raises(IllegalMove):
            store.apply([MoveTransaction("txn_1", Status.APPROVED, Status.PENDING, "undone")])
    record = store.transaction("txn_1")
    assert record is not None
    assert record.status is Status.APPROVED


def test_a_full_disk_writes_nothing_of_a_call(store: SqliteStore) -> None:
    """Alone: the call fails whole, earlier calls stay, and it succeeds once there is room."""
    assert store.apply([AddTransaction(make_transaction("txn_1"))]) is None
    limit_pages(store, 4)
    changes: list[Change] = [AddTransaction(make_transaction("txn_2")), PutState("account", "user_001", 1, BIG)]
    with pytest.raises(StoreUnavailable, match="full"):
        store.apply(changes)
    assert keys(store) == ["txn_1"]
    limit_pages(store, 10_000)
    assert store.apply(changes) is None
    assert keys(store) == ["txn_1", "txn_2"]


def test_a_full_disk_takes_its_group_with_it(store: SqliteStore) -> None:
    """In a group: nothing of the group stays, its other calls and its commit fail too, the next group is sound."""
    assert store.apply([AddTransaction(make_transaction("txn_1"))]) is None
    limit_pages(store, 4)
    store.begin_group()
    assert store.apply([AddTransaction(make_transaction("txn_2"))]) is None
    with pytest.raises(StoreUnavailable, match="full"):
        store.apply([PutState("account", "user_001", 1, BIG)])
    calls: list[Callable[[], object]] = [
        lambda: store.apply([AddTransaction(make_transaction("txn_3"))]),
        lambda: store.trim_log(below=100),
        store.commit_group,
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable, match="rolled back"):
            call()
    assert keys(store) == ["txn_1"]
    with store.group():
        assert store.apply([AddTransaction(make_transaction("txn_4"))]) is None
    assert keys(store) == ["txn_1", "txn_4"]


def test_filling_a_disk_bit_by_bit(store: SqliteStore) -> None:
    """Whatever call meets the limit: what was applied is there, what failed is not, and the file is sound."""
    limit_pages(store, 30)
    applied = []
    with pytest.raises(StoreUnavailable):  # noqa: PT012 - which call fails is what is found out
        for number in range(10_000):
            key = f"txn_{number}"
            letter = AddDeadLetter("score", key, "x" * 500, "{}", NOW_MS)
            assert store.apply([AddTransaction(make_transaction(key)), letter]) is None
            applied.append(key)
    assert keys(store) == applied
    assert [letter.key for letter in store.dead_letters(limit=10_000)] == applied
    assert store._database.all("PRAGMA integrity_check") == [("ok",)]


def test_a_locked_file_is_unavailable(store: SqliteStore, path: Path) -> None:
    """Another program that holds the file's write lock is waited for, then reported as retryable."""
    store._database.one("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked") as refused:
        store.apply([AddTransaction(make_transaction())])
    assert refused.value.retryable
    other.execute("ROLLBACK")
    other.close()
    assert store.apply([AddTransaction(make_transaction())]) is None


def test_a_checkpointer_keeps_the_log_short(store: SqliteStore, path: Path) -> None:
    """Beside a writing thread it carries the log over, and nothing is lost or seen half."""
    checkpointer = store.checkpointer()
    done = threading.Event()

    def checkpoint() -> None:
        while not done.wait(0.005):
            checkpointer.run()

    thread = threading.Thread(target=checkpoint)
    thread.start()
    for group in range(200):
        with store.group():
            for number in range(8):
                assert store.apply([AddTransaction(make_transaction(f"txn_{group}_{number}"))]) is None
    done.set()
    thread.join()
    assert checkpointer.run()
    assert len(keys(store)) == 1600
    checkpointer.close()
    assert store._database.all("PRAGMA integrity_check") == [("ok",)]
    assert path.stat().st_size > 1600 * 500
