"""Counting capacity units: what DynamoDB says a call consumed, and AWS's own rules to compute it from sizes.

The rules: AWS, DynamoDB developer guide, "Capacity unit consumption for read and write operations" and "Item sizes and
formats".
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from cardwatch.adapters.dynamodb.names import Table
from cardwatch.adapters.dynamodb.values import Item, Value

READ_UNIT_BYTES: Final = 4096
WRITE_UNIT_BYTES: Final = 1024

_READS: Final = frozenset({"get_item", "batch_get_item", "query"})


class Use(msgspec.Struct, frozen=True):
    """What one call consumed of one table: units of the table itself, and of its indexes."""

    step: str
    """What was being done, as the Meter was told."""
    operation: str
    table: Table
    reads: float
    writes: float
    index_writes: float


class Meter:
    """Keeps what each call consumed."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self._step = ""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Name what is done within."""
        before, self._step = self._step, name
        try:
            yield
        finally:
            self._step = before

    def note(self, operation: str, consumed: Any, tables: Mapping[str, Table]) -> None:
        """Keep what an answer says was consumed; a service that says nothing leaves nothing."""
        for each in consumed if isinstance(consumed, list) else [consumed] if consumed else []:
            units = float(each.get("CapacityUnits", 0))
            if operation in _READS:
                use = Use(self._step, operation, tables[each["TableName"]], units, 0.0, 0.0)
            else:
                indexes = each.get("GlobalSecondaryIndexes", {}).values()
                on_indexes = sum(float(index.get("CapacityUnits", 0)) for index in indexes)
                use = Use(self._step, operation, tables[each["TableName"]], 0.0, units - on_indexes, on_indexes)
            self.uses.append(use)

    @property
    def reads(self) -> float:
        """Read units so far."""
        return sum(use.reads for use in self.uses)

    @property
    def writes(self) -> float:
        """Write units so far, those of indexes among them."""
        return sum(use.writes + use.index_writes for use in self.uses)


def item_bytes(item: Item) -> int:
    """Return an item's size as DynamoDB counts it: names and values, numbers by their digits."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Value) -> int:
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list):
        return 3 + sum(1 + _value_bytes(part) for part in value)
    return (len(str(abs(value)).rstrip("0")) + 1) // 2 + 1 + (value < 0)


def write_units(size_bytes: int, *, transactional: bool = False) -> int:
    """Return the units of writing an item of that size; a transaction's cost twice."""
    return max(1, -(-size_bytes // WRITE_UNIT_BYTES)) * (2 if transactional else 1)


def read_units(size_bytes: int, *, consistent: bool) -> float:
    """Return the units of reading an item of that size."""
    return max(1, -(-size_bytes // READ_UNIT_BYTES)) * (1.0 if consistent else 0.5)
