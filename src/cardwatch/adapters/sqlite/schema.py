"""The schema as numbered steps: `migrations/NNNN_name.sql`, applied in order, each once and in its own transaction.

The file's user_version says how many were applied. A step that was released is never edited; a change is a new step.
"""

import sqlite3
from collections.abc import Sequence
from importlib import resources

from cardwatch.adapters.sqlite.connection import Database
from cardwatch.domain.errors import StoreCorrupt, StoreUnavailable


def released_steps() -> tuple[str, ...]:
    """Return the SQL of every step, in order."""
    folder = resources.files(__package__) / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return tuple((folder / name).read_text(encoding="utf-8") for name in names)


def schema_version(database: Database) -> int:
    """Return how many steps the file has taken, 0 for an empty file."""
    row = database.one("PRAGMA user_version")
    return int(row[0]) if row else 0


def migrate(database: Database, steps: Sequence[str]) -> int:
    """Take the steps that the file has not taken yet; returns how many.

    Raises StoreCorrupt, and changes nothing, for a file of a newer Cardwatch or of another program, and for one whose
    rows a step cannot take over: that step is undone, those before it stay.
    """
    taken = schema_version(database)
    _refuse_newer(database, taken, len(steps))
    if taken == 0 and database.one("SELECT 1 FROM sqlite_master") is not None:
        raise StoreCorrupt(f"{database.path} is the database of another program")
    for number, step in enumerate(steps[taken:], start=taken + 1):
        try:
            database.run_script(f"BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {number};\nCOMMIT;")
        except sqlite3.Error as error:
            raise StoreCorrupt(
                f"{database.path} cannot be brought from schema {number - 1} to {number} ({error}); restore a backup"
            ) from error
    return len(steps) - taken


def require_schema(database: Database, steps: Sequence[str]) -> None:
    """Refuse to read a file of any other schema; only the writer migrates."""
    taken = schema_version(database)
    _refuse_newer(database, taken, len(steps))
    if taken < len(steps):
        raise StoreUnavailable(
            f"{database.path} has schema {taken}, this Cardwatch reads {len(steps)}; start `cardwatch serve` once"
        )


def _refuse_newer(database: Database, taken: int, known: int) -> None:
    if taken > known:
        raise StoreCorrupt(
            f"{database.path} was written by a newer Cardwatch (schema {taken}, this one knows {known}); upgrade"
        )
