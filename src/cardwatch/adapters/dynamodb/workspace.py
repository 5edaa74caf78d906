"""What one list of changes would do, worked out on items in memory before anything is written.

A change whose condition says all that its write needs (a payment that must be absent, pending or at a version) is
worked out on what the condition assumes, without reading; everything else is read first. Either way the write holds
only if each item still is as it was assumed or read, so that a list is applied as if it were alone in the world.
"""

from collections.abc import Mapping, Sequence

import msgspec

from cardwatch.adapters.dynamodb.database import Write
from cardwatch.adapters.dynamodb.images import event_line
from cardwatch.adapters.dynamodb.items import Items, Staged
from cardwatch.adapters.dynamodb.names import Key, Table
from cardwatch.adapters.dynamodb.values import Item, Value

REVISION = "rev"
"""Counts the writes of an item; states have their version for it."""


class MustRead(Exception):
    """What was assumed of an item does not tell what a later change of the list needs."""

    def __init__(self, key: Key) -> None:
        super().__init__("an item must be read first")
        self.key = key


class Entry(msgspec.Struct, frozen=True):
    """An entry of the change log that is to be, and the item whose write carries it."""

    carrier: Key
    kind: str
    key: str
    detail: str


class Workspace:
    """Items as a list of changes finds and leaves them."""

    def __init__(self, items: Items, known: Mapping[Key, Item | None], *, assume: bool) -> None:
        """Work on `known` items, which were read for this very list, on those that readers saw, and on the stored."""
        self.items = items
        self.staged: Staged = {}
        self.base: Staged = {}
        """Items as read."""
        self.assumed: Staged = {}
        """Items as conditions assume them: None or some of their values."""
        self.unsure: set[Key] = set()
        """What was assumed, or seen by a reader a while ago."""
        self.checks: dict[Key, Item] = {}
        """What must stay as it was read though nothing is written there."""
        self.events: list[Entry] = []
        """Entries of the change log in their order."""
        self.touched: set[Key] = set()
        """What is written even if it is left as it was, so that its revision grows."""
        self.known = known
        self._assume = assume

    def view(self) -> Mapping[Key, Item | None]:
        """Return everything that is staged, by the group and by this list."""
        return {**self.items.staged, **self.staged}

    def load(self, key: Key) -> Item | None:
        """Return an item as it now is; raises MustRead where only some of it is known."""
        if self.assumed.get(key):
            raise MustRead(key)
        if key in self.staged:
            return self.staged[key]
        if key in self.items.staged:
            return self.items.staged[key]
        if key not in self.base:
            self.base[key] = self._read(key)
        return self.base[key]

    def _read(self, key: Key) -> Item | None:
        if key in self.known:
            return self.known[key]
        if key in self.items.seen:
            self.unsure.add(key)
            return self.items.seen[key]
        return self.items.database.get(key, consistent=True)

    def expect(self, key: Key, condition: Item | None) -> Item | None:
        """Return an item, or where it was not read, what a change's condition assumes of it (None: absent)."""
        known = key in self.staged or key in self.base or key in self.known or key in self.items.seen
        if known or not self._assume:
            return self.staged[key] if key in self.staged else self.load(key)
        self.assumed[key] = condition
        self.unsure.add(key)
        return condition

    def put(self, key: Key, item: Item | None) -> None:
        """Leave an item as given, None to remove it."""
        self.staged[key] = item

    def log(self, carrier: Key, kind: str, detail: str, *, key: str | None = None) -> None:
        """Make an entry of the change log about a payment, by default the one whose item carries it."""
        self.events.append(Entry(carrier, kind, carrier[1] if key is None else key, detail))

    def writes(self, batch: str) -> list[Write]:
        """Return the conditional writes that turn what was found into what is left.

        `batch` names this write in the log where it makes entries on several items.
        """
        log = Log(self.events, batch)
        written = [write for key in self.staged if (write := self._write(key, log)) is not None]
        keys = {write.key for write in written}
        checks = [Write(key=key, expected=held) for key, held in self.checks.items() if key not in keys]
        return [*written, *checks] if written else []

    def _write(self, key: Key, log: "Log") -> Write | None:
        item = log.carried(key, self.staged[key])
        force = key in self.touched or key in log.keys
        if key not in self.assumed:
            return write_of(key, self.base.get(key), item, force=force)
        assumed = self.assumed[key]
        if assumed is None:
            return write_of(key, None, item)
        # Nothing is known of the rest of the item but that an earlier entry's batch must not stay.
        drops = ("batch",) if key in log.keys and "batch" not in (item or {}) else ()
        return write_of(key, assumed, item, partial=True, drops=drops)


class Log:
    """The entries of one write, by the items that carry them."""

    def __init__(self, events: Sequence[Entry], batch: str) -> None:
        self.keys: dict[Key, list[str]] = {}
        for index, entry in enumerate(events):
            self.keys.setdefault(entry.carrier, []).append(event_line(index, entry.kind, entry.detail))
        self._batch = batch

    def carried(self, key: Key, item: Item | None) -> Item | None:
        """Return an item with its entries, and without those of earlier writes."""
        if item is None or key[0] is not Table.TRANSACTIONS:
            return item
        bare = {name: value for name, value in item.items() if name not in ("events", "batch")}
        lines = self.keys.get(key)
        if not lines:
            return bare
        return bare | {"events": lines} | ({"batch": self._batch} if len(self.keys) > 1 else {})


def write_of(
    key: Key,
    before: Item | None,
    after: Item | None,
    *,
    force: bool = False,
    partial: bool = False,
    drops: tuple[str, ...] = (),
) -> Write | None:
    """Return the write that turns one item into another, None where they are the same and it is not forced.

    `partial` says that `before` is only what a condition assumes of the item; `drops` are then removed besides.
    """
    state = key[0] is Table.STATES
    guard = "version" if state else REVISION
    if before is None:
        return None if after is None else Write(key=key, item=after if state else after | {REVISION: 1}, absent=True)
    expected = before if partial else {guard: before[guard]}
    if after is None:
        return Write(key=key, delete=True, expected=expected)
    sets = {name: value for name, value in after.items() if name != REVISION and before.get(name) != value}
    removes = (*sorted(set(before) - set(after) - {REVISION}), *drops)
    if not sets and not removes and not force:
        return None
    return Write(key=key, sets=sets, removes=removes, counts_up=None if state else REVISION, expected=expected)


def after_write(write: Write, before: Item | None) -> Item | None:
    """Return an item as it is stored once a write of it has passed, its base being wholly known."""
    if write.delete or write.item is not None:
        return write.item
    kept = {name: value for name, value in (before or {}).items() if name not in write.removes} | write.sets
    revision = kept.get(REVISION, 0)
    return kept | ({REVISION: revision + 1} if write.counts_up and isinstance(revision, int) else {})


def held(item: Item | None, name: str, value: Value) -> bool:
    """Say whether an item exists and has a value."""
    return item is not None and item.get(name) == value
