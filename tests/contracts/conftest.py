"""The store under contract, once for every backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardwatch.ports import Store
from tests.contracts.backends import BACKENDS


@pytest.fixture(params=sorted(BACKENDS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Yield an empty store of each backend."""
    opened = BACKENDS[request.param](tmp_path)
    yield opened
    opened.close()
