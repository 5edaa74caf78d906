"""The item of a payment: everything that has become of it in one place, so that reading it is one read unit.

Its place in the order of arrival is the time at which it was received with 20 lower bits: random for the first
payment of a millisecond in a process, counting for those that follow. So payments sort by arrival without a counter
that all of them would have to pass.
"""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Final

from cardwatch.adapters.dynamodb import codecs
from cardwatch.adapters.dynamodb.names import Key, Table
from cardwatch.adapters.dynamodb.values import Item, data, datas, number, text
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.label import Label
from cardwatch.domain.transaction import Status, Transaction, TransactionRecord

LOW_BITS: Final = 20
_RANDOM_BITS: Final = 19

DAY_SHARDS: Final = 4
"""Partitions that a day's payments are listed in: each takes 1,000 new payments a second (AWS, partition limits)."""

LISTED: Final = frozenset({Status.CHALLENGED, Status.IN_REVIEW, Status.DECLINED})
"""Statuses with a listing of their own, which is sparse: most payments are approved and never enter it."""

_MS_PER_S: Final = 1000


class ArrivalOrder:
    """Gives each payment its place in the order of arrival."""

    def __init__(self) -> None:
        self._last = -1

    def place(self, received_at_ms: int) -> int:
        """Return the sequence of a payment received at a time; within a millisecond it grows."""
        if received_at_ms == self._last >> LOW_BITS:
            self._last += 1
        else:
            self._last = (received_at_ms << LOW_BITS) + secrets.randbits(_RANDOM_BITS)
        return self._last


def payment_key(transaction_id: str) -> Key:
    """Return the key of a payment's item."""
    return Table.TRANSACTIONS, transaction_id, ""


def day_of(sequence: int) -> str:
    """Return the day (UTC) of a place in the order of arrival: "2026-09-21"."""
    return datetime.fromtimestamp((sequence >> LOW_BITS) / _MS_PER_S, UTC).date().isoformat()


def day_partitions(day: str) -> tuple[str, ...]:
    """Return the partitions of the index by day that hold a day's payments."""
    return tuple(f"{day}#{shard}" for shard in range(DAY_SHARDS))


def new_payment(transaction: Transaction, sequence: int) -> Item:
    """Return the item of a payment that was just received."""
    shard = hashlib.blake2b(transaction.transaction_id.encode(), digest_size=1).digest()[0] % DAY_SHARDS
    return {
        "transaction_id": transaction.transaction_id,
        "user_id": transaction.user_id,
        "status": Status.PENDING.value,
        "sequence": sequence,
        "day": f"{day_of(sequence)}#{shard}",
        "body": codecs.encode(transaction),
    }


def with_status(item: Item, status: Status) -> Item:
    """Return an item under another status, in its listing or in none."""
    moved = {**item, "status": status.value, "listed": status.value}
    if status not in LISTED:
        del moved["listed"]
    return moved


def is_payment(item: Item | None) -> bool:
    """Say whether an item of the table is a payment: some only carry entries of the change log."""
    return item is not None and "body" in item


def status_of(item: Item) -> Status:
    """Return where a payment stands."""
    try:
        return Status(text(item, "status"))
    except ValueError as error:
        raise StoreCorrupt("a payment has a status that nobody knows") from error


def labels_of(item: Item) -> tuple[Label, ...]:
    """Return all labels of a payment, oldest first."""
    return tuple(codecs.decode_label(body) for body in datas(item, "labels"))


def record_of(item: Item) -> TransactionRecord:
    """Return a payment as the ports give it; raises StoreCorrupt."""
    labels = datas(item, "labels")
    return TransactionRecord(
        sequence=number(item, "sequence"),
        transaction=codecs.decode_transaction(data(item, "body")),
        status=status_of(item),
        decision=codecs.decode_decision(data(item, "decision")) if "decision" in item else None,
        challenge=codecs.decode_challenge(data(item, "challenge")) if "challenge" in item else None,
        label=codecs.decode_label(labels[-1]) if labels else None,
    )
