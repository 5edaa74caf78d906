"""Reading items through what is written but not yet stored, and remembering what was read for the write that follows.

Between two writes everything that was read by key is remembered: a service reads, decides and writes, and the write is
made conditional on what was read. Nothing that was remembered is ever given as the answer of a read.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cardwatch.adapters.dynamodb.database import Database, key_of
from cardwatch.adapters.dynamodb.names import Key, Table
from cardwatch.adapters.dynamodb.tables import TABLES, Index
from cardwatch.adapters.dynamodb.values import Item, Value

INSERTED_S: Final = 0.1
"""How long what was just inserted stands for what is stored: nothing else is asked about it so soon."""

Staged = dict[Key, Item | None]
"""Items as they shall be, None for those that shall go."""


class Items:
    """The tables as one unit of work sees them; serves one thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.staged: Staged = {}
        """What the open group wrote."""
        self.seen: Staged = {}
        """What was read by key since the last write."""
        self.expected: dict[Key, int] = {}
        """Revision that a reader saw of what must not change between its reading and its write (0: nothing)."""
        self._inserted: Staged = {}
        self._inserted_until_s = 0.0

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        """Return an item, None where there is none."""
        if key in self.staged:
            return self.staged[key]
        item = self._just_inserted(key) or self.database.get(key, consistent=consistent)
        self.seen[key] = item
        return item

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        """Return the items of one table that exist."""
        absent = dict.fromkeys(key for key in keys if key not in self.staged)
        found = self.database.get_many(list(absent), consistent=consistent) if absent else {}
        self.seen.update({key: found.get(key) for key in absent})
        staged = {key: item for key in keys if (item := self.staged.get(key)) is not None}
        return found | staged

    def query(
        self,
        table: Table,
        partition: str,
        *,
        index: Index | None = None,
        low: Value | None = None,
        high: Value | None = None,
        reverse: bool = False,
        limit: int | None = None,
        over: Mapping[Key, Item | None] | None = None,
    ) -> Iterator[Item]:
        """Yield a partition's items, or its entries in an index, from `low` to `high` in order of the sort key.

        What is staged stands in for what is stored; `over` gives other writes than the group's.
        """
        staged = self.staged if over is None else over
        stored = self.database.query(
            table, partition, index=index, low=low, high=high, reverse=reverse, limit=None if staged else limit
        )
        if not staged:
            return stored
        definition = TABLES[table]
        by, sort = (index.partition, index.sort) if index else (definition.partition, definition.sort or "")
        entries = {key_of(table, item): item for item in stored}
        for key, item in staged.items():
            if key[0] is not table:
                continue
            entries.pop(key, None)
            if item is not None and item.get(by) == partition and _within(item.get(sort), low, high):
                entries[key] = item
        ordered = sorted(entries.items(), key=lambda entry: (_order(entry[1][sort]), entry[0]), reverse=reverse)
        return (item for _, item in ordered)

    def keep_inserted(self, items: Staged) -> None:
        """Keep what a write put where nothing was: for a moment each is handed out once without being read.

        Whoever records a payment reads it back at once, which would cost as much as the rest of its reading.
        """
        self._inserted = items
        self._inserted_until_s = time.monotonic() + INSERTED_S

    def _just_inserted(self, key: Key) -> Item | None:
        item = self._inserted.pop(key, None)
        return item if time.monotonic() < self._inserted_until_s else None

    def begin_unit(self) -> None:
        """Forget what was read for the write that is done."""
        self.seen.clear()
        self.expected.clear()


def _order(value: Value) -> int | bytes:
    return value.encode() if isinstance(value, str) else value if isinstance(value, int) else b""


def _within(value: Value | None, low: Value | None, high: Value | None) -> bool:
    if value is None:
        return False
    place = _order(value)
    return not (
        (low is not None and place < _order(low))  # type: ignore[operator]  # of one kind by the table's definition
        or (high is not None and place > _order(high))  # type: ignore[operator]
    )
