"""Groups of lists: kept in memory, seen by this store's reads, written at the end.

DynamoDB knows no transaction over several calls. A group of up to 100 items is one transaction; a longer one is
written in several, whole lists at a time and in their order, so that a process that stops in between leaves the
beginning of the group and never a part of a list. Memory holds all of a group until its end.
"""

import secrets
from collections.abc import Iterator

from cardwatch.adapters.dynamodb.database import TRANSACTION_ITEMS_MAX, Database, Failed, Write
from cardwatch.adapters.dynamodb.items import Items, Staged
from cardwatch.adapters.dynamodb.states import pause
from cardwatch.adapters.dynamodb.workspace import Entry, Workspace, after_write
from cardwatch.domain.errors import StoreUnavailable

_CONFLICTS_MAX = 8


class Group:
    """The lists that were applied since a group was opened."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._lists: list[Workspace] = []
        self._base: Staged = {}

    @property
    def events(self) -> list[Entry]:
        """Return the entries that the change log will get."""
        return [entry for work in self._lists for entry in work.events]

    def take(self, work: Workspace) -> None:
        """Keep a list that held."""
        for key, item in work.base.items():
            self._base.setdefault(key, item)
        self._items.staged |= work.staged
        self._lists.append(work)

    def write(self) -> None:
        """Write everything; raises StoreUnavailable when another writer was at the same items."""
        for part in self._parts():
            writes = part.writes(secrets.token_hex(4))
            for start in range(0, len(writes), TRANSACTION_ITEMS_MAX):
                write_part(self._items.database, writes[start : start + TRANSACTION_ITEMS_MAX])
            for write in writes:
                if write.item is not None or write.sets or write.removes or write.delete or write.counts_up:
                    self._base[write.key] = after_write(write, self._base.get(write.key))

    def _parts(self) -> Iterator[Workspace]:
        """Yield consecutive lists as one, as many as one transaction takes; each starts from what was written."""
        part = self._part()
        for work in self._lists:
            keys = part.staged.keys() | work.staged.keys() | part.checks.keys() | work.checks.keys()
            if part.staged and len(keys) > TRANSACTION_ITEMS_MAX:
                yield part
                part = self._part()
            part.staged |= work.staged
            part.events += work.events
            part.touched |= work.touched
            part.checks |= work.checks
        if part.staged:
            yield part

    def _part(self) -> Workspace:
        part = Workspace(self._items, {}, assume=False)
        part.base = self._base
        return part


def write_part(database: Database, writes: list[Write]) -> None:
    """Write up to 100 items, again while other transactions are in the way."""
    for attempt in range(_CONFLICTS_MAX):
        failed: Failed | None = database.write(writes)
        if failed is None:
            return
        if failed.current:
            break
        pause(attempt)
    raise StoreUnavailable("another writer changed what a group had read")
