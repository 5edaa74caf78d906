"""The DynamoDB store with the places of payments counted from 1, as other stores give them.

Its own places are times with random low bits; the contract suites compare stores with each other, number by number.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from cardwatch.adapters.dynamodb import DynamoStore, create_tables, delete_tables
from cardwatch.adapters.dynamodb.values import number
from cardwatch.domain.changes import Change
from cardwatch.domain.label import Label
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import TransactionPage
from tests.support.dynoxide import fresh_names, session_clients


class RankedStore(DynamoStore):
    """A store on tables of its own, which go when it is closed."""

    def __init__(self) -> None:
        """Make the tables; raises DynoxideMissing."""
        self._own_clients, self._own_names = session_clients(), fresh_names()
        create_tables(self._own_clients.tables, self._own_names)
        super().__init__(self._own_clients, self._own_names)
        self._places: list[int] | None = None

    def close(self) -> None:
        """Delete the tables."""
        super().close()
        delete_tables(self._own_clients.tables, self._own_names)

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply a list."""
        self._places = None
        return super().apply(changes)

    def roll_back_group(self) -> None:
        """Forget the group."""
        self._places = None
        super().roll_back_group()

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        """Return a payment under its rank."""
        record = super().transaction(transaction_id)
        return None if record is None else self._ranked(record)

    def transactions(
        self, *, user_id: str | None = None, status: Status | None = None, limit: int, before: int | None = None
    ) -> TransactionPage:
        """Return a page under ranks."""
        places = self._all_places()
        after_all = before is not None and before > len(places)
        high = None if before is None or after_all else places[before - 1] if before > 0 else 0
        page = super().transactions(user_id=user_id, status=status, limit=limit, before=high)
        following = None if page.next_before is None else self._rank(page.next_before)
        return TransactionPage(tuple(self._ranked(record) for record in page.records), following)

    def export(self, *, after: int = 0) -> Iterable[tuple[TransactionRecord, tuple[Label, ...]]]:
        """Yield payments under ranks."""
        places = self._all_places()
        start = places[min(after, len(places)) - 1] if after and places else 0
        for record, labels in super().export(after=start):
            yield self._ranked(record), labels

    def _ranked(self, record: TransactionRecord) -> TransactionRecord:
        return msgspec.structs.replace(record, sequence=self._rank(record.sequence))

    def _rank(self, place: int) -> int:
        places = self._all_places()
        rank = bisect_right(places, place)
        assert rank == bisect_left(places, place) + 1
        return rank

    def _all_places(self) -> list[int]:
        if self._places is None:
            self._places = [
                number(entry, "sequence") for day in self._days() for entry in self._of_day(day, reverse=False)
            ]
        return self._places
