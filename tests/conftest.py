"""What is slow by where it runs: everything against the DynamoDB emulator belongs to the slow suites.

It answers some 300 times slower than SQLite, and `make test` is to take less than ten minutes.
"""

from pathlib import Path

import pytest

_EMULATED = Path(__file__).parent / "adapters" / "dynamodb"
_WITHOUT_EMULATOR = frozenset({"test_codecs.py", "test_images.py"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs against the emulator as slow."""
    for item in items:
        inside = _EMULATED in item.path.parents and item.path.name not in _WITHOUT_EMULATOR
        if inside or "[dynamodb" in item.name or "-dynamodb" in item.name:
            item.add_marker(pytest.mark.slow)
