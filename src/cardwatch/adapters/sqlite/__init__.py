"""The embedded store: one SQLite file in WAL mode with full synchronisation, one writer, group commit."""

from cardwatch.adapters.sqlite.store import SqliteReader, SqliteStore

__all__ = ["SqliteReader", "SqliteStore"]
