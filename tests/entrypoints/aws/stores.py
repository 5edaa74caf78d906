"""The stores that the functions are tested on; DynamoDB as it is, behind an emulator."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.ports import Store


@contextmanager
def _memory(_: Path) -> Iterator[Store]:
    yield MemoryStore()


@contextmanager
def _sqlite(folder: Path) -> Iterator[Store]:
    store = SqliteStore(folder / "cardwatch.db")
    yield store
    store.close()


@contextmanager
def _dynamodb(_: Path) -> Iterator[Store]:
    """Yield a store on fresh tables of the session's emulator; skips where none can run."""
    pytest.importorskip("boto3", reason="boto3 is not installed (the extra `aws`)")
    from cardwatch.adapters.dynamodb import DynamoStore, create_tables, delete_tables
    from tests.support.dynoxide import DynoxideMissing, fresh_names, session_clients

    try:
        clients = session_clients()
    except DynoxideMissing as missing:
        pytest.skip(str(missing))
    names = fresh_names()
    create_tables(clients.tables, names)
    yield DynamoStore(clients, names)
    delete_tables(clients.tables, names)


STORES: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "dynamodb": _dynamodb,
}
