"""The store of the serverless home: every port over four DynamoDB tables. Each instance serves one thread.

A list of changes is worked out on items in memory and then written in one conditional call, so that it holds only if
nothing that it rests on was changed meanwhile. Between two writes a store remembers what was read through it: this is
what guards a service that reads, decides and writes against all others, where the embedded home has one writer.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Final

from cardwatch.adapters.dynamodb.capacity import Meter
from cardwatch.adapters.dynamodb.client import Clients
from cardwatch.adapters.dynamodb.conversation_items import TRIMMED, day_key, new_item
from cardwatch.adapters.dynamodb.database import TRANSACTION_ITEMS_MAX, Database, Failed, Write
from cardwatch.adapters.dynamodb.groups import Group, write_part
from cardwatch.adapters.dynamodb.items import Items, Staged
from cardwatch.adapters.dynamodb.log import StreamLog
from cardwatch.adapters.dynamodb.names import Key, Table, TableNames
from cardwatch.adapters.dynamodb.payments import ArrivalOrder
from cardwatch.adapters.dynamodb.reads import DynamoReads
from cardwatch.adapters.dynamodb.states import StateOutcome, apply_state, pause, state_key
from cardwatch.adapters.dynamodb.values import number
from cardwatch.adapters.dynamodb.workspace import MustRead, Workspace
from cardwatch.adapters.dynamodb.writes import evaluate
from cardwatch.domain.changes import Change, EraseAccount, IllegalMove, PutState
from cardwatch.domain.errors import StoreUnavailable
from cardwatch.ports import LogEntry

ATTEMPTS_MAX: Final = 12
"""Tries to write one list while others write the same items; with the pauses between them this takes about 1 s."""

_WorkOut = Callable[[Workspace], Change | None]


class TooManyItems(ValueError):
    """A list of changes touches more items than one transaction takes: a fault in the caller."""


class DynamoStore(DynamoReads):
    """Every port of a store over DynamoDB; one instance for each thread, over clients that may be shared."""

    def __init__(self, clients: Clients, names: TableNames | None = None, *, meter: Meter | None = None) -> None:
        """Work on tables that exist (`tables.create_tables`); nothing is called until the first verb."""
        self._database = Database(clients, names or TableNames(), meter=meter)
        self._items = Items(self._database)
        self._states_read = {}
        self._contended = set()
        self._order = ArrivalOrder()
        self._noted_days: set[str] = set()
        self._group: Group | None = None
        self._log = StreamLog(self._database)

    def close(self) -> None:
        """Give an open group up; the clients belong to whoever made them."""
        self.roll_back_group()

    # Ledger

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply all changes or none; return the first whose condition did not hold.

        Raises IllegalMove, StoreUnavailable (others kept writing the same items; throttling; no answer, when the list
        may yet have been applied: applying it again is safe, as its conditions say), StoreCorrupt, and TooManyItems
        for more than 100 items. An erasure may have more: it is then written in parts, and can be asked for again
        until the account is gone.
        """
        return self._run(
            lambda work: evaluate(work, changes, order=self._order, note_day=self._note_day),
            in_parts=any(isinstance(change, EraseAccount) for change in changes),
        )

    def _run(self, work_out: _WorkOut, *, in_parts: bool = False) -> Change | None:
        if self._group is not None:
            work, lost = self._worked_out(work_out, {}, assume=False)
            if lost is None:
                self._group.take(work)
            return lost
        try:
            return self._run_alone(work_out, in_parts=in_parts)
        finally:
            self._items.begin_unit()

    def _run_alone(self, work_out: _WorkOut, *, in_parts: bool) -> Change | None:
        known: Staged = {}
        self._items.keep_inserted({})
        for attempt in range(ATTEMPTS_MAX):
            work, lost = self._worked_out(work_out, known, assume=not in_parts)
            if lost is not None:
                if isinstance(lost, PutState):
                    self._contended.add(state_key(lost.entity, lost.key))
                return lost
            writes = work.writes(secrets.token_hex(4))
            failed = self._write(writes, in_parts=in_parts)
            if failed is None:
                payments = {w.key: w.item for w in writes if w.absent and w.key[0] is Table.TRANSACTIONS}
                self._items.keep_inserted(payments)
                return None
            known |= failed.current
            if attempt or not failed.current:
                pause(attempt)
                known |= self._read(set(known))  # what the failed write showed is old again after a pause
        raise StoreUnavailable(f"others kept writing the same items, {ATTEMPTS_MAX} times")

    def _worked_out(self, work_out: _WorkOut, known: Staged, *, assume: bool) -> tuple[Workspace, Change | None]:
        """Work a list out until its outcome rests on nothing but what was read for it, or what its write checks."""
        while True:
            work = Workspace(self._items, known, assume=assume)
            try:
                lost = work_out(work)
            except MustRead as missing:
                known |= self._read({missing.key})
                continue
            except IllegalMove:
                if not work.unsure:
                    raise
                known |= self._read(work.unsure)
                continue
            if lost is None or not work.unsure:
                return work, lost
            known |= self._read(work.unsure)  # what was assumed or read a while ago must not be why it was lost

    def _read(self, keys: AbstractSet[Key]) -> Staged:
        return {key: self._database.get(key, consistent=True) for key in keys}

    def _write(self, writes: list[Write], *, in_parts: bool) -> Failed | None:
        if not writes:
            return None
        if len(writes) <= TRANSACTION_ITEMS_MAX:
            return self._database.write(writes)
        if not in_parts:
            raise TooManyItems(f"a list of changes touches {len(writes)} items, more than {TRANSACTION_ITEMS_MAX}")
        for start in range(0, len(writes), TRANSACTION_ITEMS_MAX):
            write_part(self._database, writes[start : start + TRANSACTION_ITEMS_MAX])
        return None

    def _note_day(self, day: str) -> None:
        """Enter a day into the calendar that listings go by, before its first payment is written."""
        if day not in self._noted_days:
            self._database.write([Write(key=day_key(day), item=new_item(day_key(day)))])
            self._noted_days.add(day)

    # Groups

    @contextmanager
    def group(self) -> Iterator[None]:
        """Keep all lists within until the end, where they are written together: up to 100 items as one.

        More are written in several transactions, whole lists at a time (see `groups`).
        """
        self.begin_group()
        try:
            yield
        except BaseException:
            self.roll_back_group()
            raise
        self.commit_group()

    def begin_group(self) -> None:
        """Start a group; groups do not nest."""
        if self._group is not None:
            raise RuntimeError("a group is already open")
        self._items.begin_unit()
        self._items.keep_inserted({})
        self._group = Group(self._items)

    def commit_group(self) -> None:
        """Write the group. Raises StoreUnavailable when another writer changed what it rests on; see `groups`."""
        group, self._group = self._group, None
        try:
            if group is not None:
                group.write()
        finally:
            self.roll_back_group()

    def roll_back_group(self) -> None:
        """Forget the group's lists."""
        self._group = None
        self._items.staged = {}
        self._items.begin_unit()

    # States

    def apply_state(
        self,
        entity: str,
        key: str,
        *,
        sequence: int,
        step: Callable[[bytes | None], bytes],
        redelivered: bool = False,
    ) -> StateOutcome:
        """Apply a payment's effect to one state, exactly once within the state's next 16 payments.

        `sequence` is the payment's. `step` turns the stored bytes (None: no state yet) into those with the payment
        counted; it is called again on newer bytes when another writer was first. What `states` read just before is
        not read again. With `redelivered` a payment that may have been counted longer ago is left out (DOUBTFUL);
        without it, a payment that is merely late is counted. Not part of any group. Raises StoreUnavailable.
        """
        read = self._states_read.pop(state_key(entity, key), None)
        return apply_state(
            self._items.database,
            state_key(entity, key),
            sequence=sequence,
            step=step,
            redelivered=redelivered,
            read=read,
        )

    # The change log

    def log(self, *, after: int, limit: int) -> Sequence[LogEntry]:
        """Return up to `limit` entries after a position, in order, from a stream of one shard (see `log`).

        Raises StoreUnavailable for a stream of several shards: on AWS the event source mapping takes this verb's
        place, and only the entries about one payment have an order.
        """
        low = max(after, self._trimmed())
        return [entry for entry in self._log_entries() if entry.sequence > low][:limit]

    def trim_log(self, *, below: int) -> int:
        """Forget entries below a position, of those that every known cursor has passed; returns how many went.

        On AWS the stream forgets by itself after 24 hours, whoever has read it.
        """
        low = self._trimmed()
        cursors = [number(item, "position") for item in self._items.query(Table.CONVERSATIONS, "cursor")]
        passed = min(cursors, default=below)
        gone = [
            each.sequence for each in self._log_entries() if low < each.sequence < below and each.sequence <= passed
        ]
        if gone:
            self._run(lambda work: _trim(work, gone[-1]))
        return len(gone)

    def _log_entries(self) -> list[LogEntry]:
        stored = self._log.entries()
        coming = self._group.events if self._group is not None else []
        return [
            *stored,
            *(LogEntry(n, each.kind, each.key, each.detail) for n, each in enumerate(coming, len(stored) + 1)),
        ]

    def _trimmed(self) -> int:
        item = self._items.get(TRIMMED)
        return number(item, "position") if item else 0


def _trim(work: Workspace, position: int) -> None:
    work.put(TRIMMED, (work.load(TRIMMED) or new_item(TRIMMED)) | {"position": position})
