"""Stores on tables of their own, over one emulator for all tests."""

from collections.abc import Iterator

import pytest

from cardwatch.adapters.dynamodb import Clients, DynamoStore, TableNames, create_tables, delete_tables
from tests.support.dynoxide import DynoxideMissing, fresh_names, session_clients


@pytest.fixture
def clients() -> Clients:
    """Return clients of the session's endpoint; skips where there is none."""
    try:
        return session_clients()
    except DynoxideMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def names(clients: Clients) -> Iterator[TableNames]:
    """Yield the names of empty tables."""
    fresh = fresh_names()
    create_tables(clients.tables, fresh)
    yield fresh
    delete_tables(clients.tables, fresh)


@pytest.fixture
def store(clients: Clients, names: TableNames) -> Iterator[DynamoStore]:
    """Yield an empty store."""
    opened = DynamoStore(clients, names)
    yield opened
    opened.close()
