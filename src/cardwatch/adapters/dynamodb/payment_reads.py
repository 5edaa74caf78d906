"""Reading payments: one by key, pages and the export by indexes over keys. Nothing is ever scanned.

Indexes on AWS lag behind the table by a moment, and so do listings; each record listed is read from the table, and left
out where it has moved on meanwhile.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from cardwatch.adapters.dynamodb.conversation_items import AFTER_ALL
from cardwatch.adapters.dynamodb.items import Items
from cardwatch.adapters.dynamodb.names import Table
from cardwatch.adapters.dynamodb.payments import (
    LISTED,
    day_of,
    day_partitions,
    is_payment,
    labels_of,
    payment_key,
    record_of,
    status_of,
)
from cardwatch.adapters.dynamodb.tables import TABLES, Index
from cardwatch.adapters.dynamodb.values import Item, number, text
from cardwatch.domain.label import Label
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import TransactionPage

EXAMINED_MAX: Final = 2_000
"""Payments that one call looks at for a page of those with a status that has no listing of its own.

A page may then be short, even empty, and still have a `next_before` from which to go on.
"""

EXPORT_PAGE_ROWS: Final = 500

_BY_ACCOUNT, _BY_DAY, _BY_STATUS = TABLES[Table.TRANSACTIONS].indexes
_FIRST_READ: Final = 25
"""Entries that a listing reads at a time from each partition."""


class PaymentReads:
    """The port Transactions."""

    _items: Items

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        """Return a payment with its decision, current challenge and current label: one consistent read."""
        item = self._items.get(payment_key(transaction_id)) if transaction_id else None
        return record_of(item) if item is not None and is_payment(item) else None

    def transactions(
        self, *, user_id: str | None = None, status: Status | None = None, limit: int, before: int | None = None
    ) -> TransactionPage:
        """Return up to `limit` payments newest first, of an account, a status or both, below `before`.

        A page of pending or approved payments may be short where thousands of others lie between.
        """
        entries = self._newest(user_id, status, before)
        records: list[TransactionRecord] = []
        examined = 0
        while chunk := list(islice(entries, max(_FIRST_READ, min(limit + 1 - len(records), 100)))):
            for item in self._payments(chunk):
                if (user_id in (None, item["user_id"])) and (status is None or status_of(item) is status):
                    if len(records) == limit:
                        return TransactionPage(tuple(records), records[-1].sequence)
                    records.append(record_of(item))
            examined += len(chunk)
            if examined >= EXAMINED_MAX:
                return TransactionPage(tuple(records), number(chunk[-1], "sequence"))
        return TransactionPage(tuple(records), None)

    def export(self, *, after: int = 0) -> Iterable[tuple[TransactionRecord, tuple[Label, ...]]]:
        """Yield every payment in order of arrival after a sequence, each with all of its labels, oldest first."""
        low = after + 1
        for day in self._days(low=day_of(low)):
            entries = self._of_day(day, low=low, reverse=False)
            while chunk := list(islice(entries, EXPORT_PAGE_ROWS)):
                for item in self._payments(chunk):
                    yield record_of(item), labels_of(item)

    def _newest(self, user_id: str | None, status: Status | None, before: int | None) -> Iterator[Item]:
        """Yield index entries, newest first, that hold all payments wanted."""
        high = None if before is None else before - 1
        if user_id == "" or (high is not None and high < 0):
            return iter(())
        if user_id is not None:
            return self._entries(_BY_ACCOUNT, user_id, high)
        if status in LISTED:
            return self._entries(_BY_STATUS, str(status), high)
        days = self._days(high=None if high is None else day_of(high), reverse=True)
        return (entry for day in days for entry in self._of_day(day, high=high, reverse=True))

    def _entries(self, index: Index, partition: str, high: int | None) -> Iterator[Item]:
        return self._items.query(
            Table.TRANSACTIONS, partition, index=index, high=high, reverse=True, limit=4 * _FIRST_READ
        )

    def _of_day(self, day: str, *, low: int | None = None, high: int | None = None, reverse: bool) -> Iterator[Item]:
        shards = (
            self._items.query(
                Table.TRANSACTIONS,
                partition,
                index=_BY_DAY,
                low=low,
                high=high,
                reverse=reverse,
                limit=_FIRST_READ if reverse else None,
            )
            for partition in day_partitions(day)
        )
        return heapq.merge(*shards, key=lambda entry: number(entry, "sequence"), reverse=reverse)

    def _days(self, *, low: str | None = None, high: str | None = None, reverse: bool = False) -> list[str]:
        """Return the days on which payments were received."""
        found = self._items.query(
            Table.CONVERSATIONS, "calendar", low=low, high=None if high is None else high + AFTER_ALL, reverse=reverse
        )
        return [text(entry, "sk") for entry in found]

    def _payments(self, entries: Sequence[Item]) -> Iterator[Item]:
        """Yield the payments of index entries, in their order."""
        keys = [payment_key(text(entry, "transaction_id")) for entry in entries]
        found = self._items.get_many(keys, consistent=False)
        return (item for key in keys if (item := found.get(key)) is not None and is_payment(item))
