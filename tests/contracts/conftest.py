"""The store under contract, once for every backend."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardwatch.ports import Store
from tests.contracts.backends import BACKENDS

_STORIES_S_MAX = 900
_ALL_OR_NOTHING_IN_BETWEEN = re.compile(r"test_all_or_nothing\[dynamodb-.*-[12]\]")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the slow suites what takes long against an emulator, which answers 300 times slower than SQLite.

    These are the 150 random stories, of which `tests/adapters/dynamodb/test_model.py` runs a few, and half of the
    places that a losing change takes in a list.
    """
    for item in items:
        if item.name == "test_every_backend_does_as_the_reference[dynamodb]":
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(_STORIES_S_MAX))
        elif _ALL_OR_NOTHING_IN_BETWEEN.fullmatch(item.name):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=sorted(BACKENDS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Yield an empty store of each backend."""
    opened = BACKENDS[request.param](tmp_path)
    yield opened
    opened.close()
