"""How many payments were decided and how many stand flagged: counted once, then kept up by the change log.

A move in the log names only where a payment went, so the tally remembers where each flagged payment stood. It
remembers a bounded number of them; those that it forgets stay counted where they were.
"""

from collections import Counter, OrderedDict

from cardwatch.domain.transaction import Status
from cardwatch.ports import LogEntry
from cardwatch.runtime.application import Application

KNOWN_MAX = 20_000
"""Payments whose standing is remembered, about 2 MB."""

PAGE_ROWS = 100
"""Payments counted in one step, about 3 ms: payments are decided on the same thread."""

FLAGGED = (Status.CHALLENGED, Status.IN_REVIEW, Status.DECLINED)


class Tally:
    """Counts of one listening spell; `decided` is how many payments had been decided when it began."""

    def __init__(self, *, decided: int) -> None:
        self.decided = decided
        self._standing: OrderedDict[str, Status] = OrderedDict()
        self._counts: Counter[Status] = Counter()
        self._to_count: list[tuple[Status, int | None]] = [(status, None) for status in FLAGGED]

    def count(self, status: Status) -> int:
        """Return how many payments stand there, as far as they have been counted."""
        return self._counts[status]

    def count_on(self, application: Application) -> None:
        """Count one more page of what stood there before the log was followed, if there is any left."""
        if not self._to_count:
            return
        status, before = self._to_count.pop(0)
        page = application.transactions(user_id=None, status=status, limit=PAGE_ROWS, before=before)
        for record in page.records:
            self._put(record.transaction.transaction_id, record.status)
        if page.next_before is not None:
            self._to_count.append((status, page.next_before))

    def follow(self, entry: LogEntry) -> None:
        """Take the next entry of the change log into account."""
        self.decided += entry.kind == "transaction.decided"
        if entry.kind in ("transaction.decided", "transaction.moved"):
            self._put(entry.key, Status(entry.detail.partition(":")[0]))

    def _put(self, transaction_id: str, status: Status) -> None:
        before = self._standing.pop(transaction_id, None)
        if before is not None:
            self._counts[before] -= 1
        if status not in FLAGGED:
            return
        self._counts[status] += 1
        self._standing[transaction_id] = status
        if len(self._standing) > KNOWN_MAX:
            self._standing.popitem(last=False)
