"""What a store holds after a benchmark: whether each payment is there, decided, and decided exactly once."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import msgspec

from cardwatch.adapters.sqlite.store import SqliteReader
from cardwatch.domain.transaction import Status

_PAGE = 20_000


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of the payments that were acknowledged."""

    acknowledged: int
    missing: int
    pending: int
    not_decided_once: int
    statuses: dict[str, int]

    @property
    def sound(self) -> bool:
        """Whether every acknowledged payment is stored and decided exactly once."""
        return not (self.missing or self.pending or self.not_decided_once)

    def __str__(self) -> str:
        mix = ", ".join(f"{status} {count:,}" for status, count in sorted(self.statuses.items()))
        return (
            f"{self.acknowledged:,} acknowledged: {self.missing} missing, {self.pending} pending, "
            f"{self.not_decided_once} not decided exactly once ({mix})"
        )


def examine(database: Path, acknowledged: Collection[str]) -> Verdict:
    """Look up every acknowledged payment, and its decisions in the change log."""
    reader = SqliteReader(database)
    try:
        decisions = decisions_by_payment(reader)
        statuses: Counter[str] = Counter()
        missing = 0
        for transaction_id in acknowledged:
            record = reader.transaction(transaction_id)
            if record is None:
                missing += 1
            else:
                statuses[record.status.value] += 1
    finally:
        reader.close()
    return Verdict(
        acknowledged=len(acknowledged),
        missing=missing,
        pending=statuses[Status.PENDING.value],
        not_decided_once=sum(decisions[transaction_id] != 1 for transaction_id in acknowledged),
        statuses=dict(statuses),
    )


def decisions_by_payment(reader: SqliteReader, *, after: int = 0) -> Counter[str]:
    """Count the decisions that the change log has of each payment after a position."""
    decisions: Counter[str] = Counter()
    while entries := reader.log(after=after, limit=_PAGE):
        decisions.update(entry.key for entry in entries if entry.kind == "transaction.decided")
        after = entries[-1].sequence
    return decisions
