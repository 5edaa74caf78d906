"""The backends that the contract suites run on: a name, and what makes an empty store in an empty folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.ports import Store


def _dynamodb(_folder: Path) -> Store:
    """Return a store on fresh tables of the session's emulator; skips where none can run."""
    pytest.importorskip("boto3", reason="boto3 is not installed (the extra `aws`)")
    from tests.adapters.dynamodb.ranked import RankedStore
    from tests.support.dynoxide import DynoxideMissing

    try:
        return RankedStore()
    except DynoxideMissing as missing:
        pytest.skip(str(missing))


BACKENDS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _folder: MemoryStore(),
    "sqlite": lambda folder: SqliteStore(folder / "cardwatch.db"),
    "dynamodb": _dynamodb,
}

QUICK_FIRST = [
    pytest.param(name, marks=pytest.mark.slow) if name == "dynamodb" else pytest.param(name)
    for name in sorted(BACKENDS)
]
"""The backends for tests beyond the contracts: the emulator, which is slow, only in the slow suites."""
