"""The read log is forgotten once it is old, and nothing that cannot be read keeps it for ever."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.changes import AddTransaction, SetCursor
from cardwatch.services.trim_log import trim_read_log
from tests.builders import NOW_MS, make_transaction


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store lies."""
    return tmp_path / "cardwatch.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Yield a store with two payments a day old and one of now, all read."""
    with closing(SqliteStore(path)) as opened:
        for number, received_ms in enumerate((NOW_MS - 86_400_000, NOW_MS - 86_400_000, NOW_MS)):
            payment = make_transaction(f"txn_{number}", received_at_ms=received_ms)
            assert opened.apply([AddTransaction(payment)]) is None
        assert opened.apply([SetCursor("score", 0, 3)]) is None
        yield opened


def left(store: SqliteStore) -> list[str]:
    """Return what the log still tells of."""
    return [entry.key for entry in store.log(after=0, limit=9)]


def test_old_entries_go_and_young_ones_stay(store: SqliteStore) -> None:
    """By when their payments were received."""
    assert trim_read_log(store=store, now_ms=NOW_MS, retention_ms=3_600_000) == 2
    assert left(store) == ["txn_2"]


def test_damaged_row_does_not_keep_the_log(store: SqliteStore, path: Path) -> None:
    """Its entry goes with its neighbours."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE transactions SET body = CAST('damaged' AS BLOB) WHERE transaction_id = 'txn_0'")
    assert trim_read_log(store=store, now_ms=NOW_MS, retention_ms=3_600_000) == 2
    assert left(store) == ["txn_2"]
