"""One SQLite connection: how it is opened, and the only place where the driver's errors become ours.

Statements are prepared once and cached by their text, so every statement of this package is a constant.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

from cardwatch.domain.errors import OperatingError, StoreCorrupt, StoreUnavailable

Row: TypeAlias = tuple[Any, ...]

CACHE_KIB = 65_536
"""Upper bound of the page cache of the writing connection."""

READER_CACHE_KIB = 8_192
BUSY_TIMEOUT_MS = 2_000
WAL_KEPT_BYTES = 64 * 1024 * 1024
"""A write-ahead log that grew beyond this is cut back after it was carried over."""

_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class Database:
    """A connection in autocommit mode that threads may share: a lock makes them take turns at its one cursor."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._turn = Lock()
        self.erased = False
        """Personal data was deleted and may still stand in the write-ahead log."""
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
                timeout=BUSY_TIMEOUT_MS / 1000,
            )
            self._cursor = self._connection.cursor()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Execute a statement; returns the number of rows that it changed."""
        try:
            with self._turn:
                return self._cursor.execute(sql, parameters).rowcount
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def insert(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Insert one row; returns its integer key."""
        try:
            with self._turn:
                return self._cursor.execute(sql, parameters).lastrowid or 0
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row of a query, None if it has none."""
        try:
            with self._turn:
                row: Row | None = self._cursor.execute(sql, parameters).fetchone()
        except sqlite3.Error as error:
            raise self._translated(error) from error
        return row

    def all(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query."""
        try:
            with self._turn:
                return self._cursor.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def run_script(self, sql: str) -> None:
        """Execute statements that bring their own transaction; on an error it is rolled back."""
        try:
            self._cursor.executescript(sql)
        except sqlite3.Error as error:
            if self.in_transaction:
                self._cursor.execute("ROLLBACK")
            raise self._translated(error) from error

    def close(self) -> None:
        """Close the connection; an open transaction is lost."""
        self._connection.close()

    def _translated(self, error: sqlite3.Error) -> OperatingError | sqlite3.Error:
        """Say whether a retry can help; what is neither is a fault in this package and stays as it is."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _UNAVAILABLE:
            return StoreUnavailable(f"the store cannot be used now: {error}")
        if code in _CORRUPT:
            return StoreCorrupt(f"{self.path} is damaged or no database ({error}); restore it from a backup")
        return error


def make_file(path: Path) -> None:
    """Make the database's file (mode 0600) and its folder (mode 0700) where they are missing."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"cannot write {path}: {error.strerror}") from error


def open_writer(path: Path, *, wal_autocheckpoint_pages: int) -> Database:
    """Open an existing file (an empty one is an empty database) for writing."""
    database = Database(path)
    try:
        database.one("PRAGMA journal_mode = WAL")
        database.run("PRAGMA synchronous = FULL")
        database.run("PRAGMA foreign_keys = ON")
        # Freed space must not keep what was erased.
        database.one("PRAGMA secure_delete = ON")
        database.run(f"PRAGMA cache_size = -{CACHE_KIB}")
        database.run("PRAGMA temp_store = MEMORY")
        database.one(f"PRAGMA wal_autocheckpoint = {int(wal_autocheckpoint_pages)}")
        database.one(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
        # A process that was killed right after an erasure left what it erased in the log.
        database.one("PRAGMA wal_checkpoint(TRUNCATE)")
    except BaseException:
        database.close()
        raise
    return database


def open_reader(path: Path) -> Database:
    """Open an existing database for reading only; it sees what is committed."""
    if not path.exists():
        raise StoreUnavailable(f"there is no store at {path}")
    database = Database(path, read_only=True)
    try:
        database.run("PRAGMA query_only = ON")
        database.run(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    except BaseException:
        database.close()
        raise
    return database
