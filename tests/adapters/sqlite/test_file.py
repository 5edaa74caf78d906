"""The database file: who may read it, who may write it, and which files are refused."""

import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cardwatch.adapters.sqlite import SqliteReader, SqliteStore
from cardwatch.domain.changes import AddTransaction
from cardwatch.domain.errors import StoreCorrupt, StoreUnavailable
from tests.builders import make_transaction

HOLDER = """
    import sys
    from cardwatch.adapters.sqlite import SqliteStore
    store = SqliteStore(sys.argv[1])
    print("open", flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    """Return the permission bits of a path."""
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_may_read(store: SqliteStore, path: Path) -> None:
    """Folder 0700, database, log and lock 0600, whatever the umask."""
    assert store.apply([AddTransaction(make_transaction())]) is None
    assert mode(path.parent) == 0o700
    files = sorted(item.name for item in path.parent.iterdir())
    assert files == ["cardwatch.db", "cardwatch.db-shm", "cardwatch.db-wal", "writer.lock"]
    assert {mode(item) for item in path.parent.iterdir()} == {0o600}


def test_the_files_settings(store: SqliteStore) -> None:
    """Write-ahead log, full synchronisation, foreign keys, overwriting of what is deleted."""
    settings = {
        name: store._database.one(f"PRAGMA {name}")
        for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
    }
    assert settings == {"journal_mode": ("wal",), "synchronous": (2,), "foreign_keys": (1,), "secure_delete": (1,)}


def test_a_second_writer_is_told_who_the_first_is(path: Path) -> None:
    """Only one process writes a folder; the error names it, and its end frees the folder, even by kill -9."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreUnavailable) as refused:
            SqliteStore(path)
        assert str(refused.value) == (
            f"another Cardwatch process (pid {holder.pid}) uses this data folder; stop it or use its API"
        )
        reader = SqliteReader(path)
        assert reader.transaction("txn_1") is None
        reader.close()
        holder.kill()
    SqliteStore(path).close()


def test_a_second_store_of_one_process_is_refused(store: SqliteStore, path: Path) -> None:
    """The lock is per store, not per process; closing gives it free."""
    with pytest.raises(StoreUnavailable, match=f"pid {os.getpid()}"):
        SqliteStore(path)
    store.close()
    SqliteStore(path).close()


def test_a_damaged_file_is_one_clear_error(path: Path) -> None:
    """What is no database is refused by name, for writing and reading, and the folder is free again."""
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, but long enough to be read as one" * 100)
    for opening in (SqliteStore, SqliteReader, SqliteStore):
        with pytest.raises(StoreCorrupt, match=r"cardwatch\.db is damaged or no database"):
            opening(path)


def test_damage_inside_is_found_by_the_read_that_meets_it(path: Path) -> None:
    """Overwritten pages raise StoreCorrupt and never return wrong data."""
    store = SqliteStore(path)
    with store.group():
        for number in range(500):
            assert store.apply([AddTransaction(make_transaction(f"txn_{number}"))]) is None
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 * 30 :] = b"\xa5" * (len(content) - 4096 * 30)
    path.write_bytes(content)
    store = SqliteStore(path)
    with pytest.raises(StoreCorrupt):
        list(store.export())
    store.close()


def test_a_row_that_cannot_be_decoded_is_corrupt(store: SqliteStore) -> None:
    """A body of another shape names what could not be read."""
    assert store.apply([AddTransaction(make_transaction())]) is None
    store._database.run("UPDATE transactions SET body = CAST('{}' AS BLOB)")
    with pytest.raises(StoreCorrupt, match="a stored transaction cannot be read"):
        store.transaction("txn_1")


def test_another_programs_database_is_left_alone(path: Path) -> None:
    """A file with foreign tables is refused and keeps its content."""
    path.parent.mkdir()
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE photos (name TEXT)")
    foreign.commit()
    foreign.close()
    with pytest.raises(StoreCorrupt, match="another program"):
        SqliteStore(path)
    foreign = sqlite3.connect(path)
    assert foreign.execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]
    foreign.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A path through a file is a problem of the place, said in one line."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable, match="cannot write"):
        SqliteStore(tmp_path / "file" / "data" / "cardwatch.db")


def test_reading_needs_a_store(path: Path) -> None:
    """A reader makes no file."""
    with pytest.raises(StoreUnavailable, match="there is no store"):
        SqliteReader(path)
    assert not path.exists()
