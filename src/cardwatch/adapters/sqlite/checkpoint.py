"""Carrying the write-ahead log over into the database file beside the writer instead of inside its commits.

Measured with groups of 16 at 1,000 payments/s: commits take 6-7 ms at p99 when they do it themselves, 1-3 ms when a
checkpointer runs every 50 ms.
"""

from pathlib import Path
from typing import Final

from cardwatch.adapters.sqlite.connection import Database

INTERVAL_MS: Final = 50
"""How often to run while there is writing."""


class Checkpointer:
    """A connection of its own; `run` may be called in any thread, by one at a time, also during a commit."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._database.one("PRAGMA wal_autocheckpoint = 0")
        self._database.run("PRAGMA synchronous = FULL")

    def run(self) -> bool:
        """Carry over what can be without waiting for anyone; returns whether everything committed was."""
        row = self._database.one("PRAGMA wal_checkpoint(PASSIVE)")
        return row is not None and row[0] == 0 and row[1] == row[2]

    def close(self) -> None:
        """Let go of the file; close it before the store."""
        self._database.close()
