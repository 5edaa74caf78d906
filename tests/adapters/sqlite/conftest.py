"""A store on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardwatch.adapters.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database goes: a folder that does not exist yet."""
    return tmp_path / "data" / "cardwatch.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Yield an empty store."""
    opened = SqliteStore(path)
    yield opened
    opened.close()
