"""The backends that the contract suites run on: a name, and what makes an empty store in an empty folder."""

from collections.abc import Callable
from pathlib import Path

from cardwatch.adapters.memory import MemoryStore
from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.ports import Store

BACKENDS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _folder: MemoryStore(),
    "sqlite": lambda folder: SqliteStore(folder / "cardwatch.db"),
}
