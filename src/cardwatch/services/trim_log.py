"""Forget the oldest of the change log, once every consumer has read it and it is older than it must be kept."""

from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.ports import Store

ENTRIES_MAX = 1_000
"""Entries looked at in one call, so that no group takes long."""


def trim_read_log(*, store: Store, now_ms: int, retention_ms: int) -> int:
    """Forget entries about payments received longer ago than `retention_ms`; returns how many went."""
    below = 0
    for entry in store.log(after=0, limit=ENTRIES_MAX):
        record = _readable(entry.key, store)
        if record is not None and record.transaction.received_at_ms > now_ms - retention_ms:
            break
        below = entry.sequence + 1
    return store.trim_log(below=below) if below else 0


def _readable(transaction_id: str, store: Store) -> TransactionRecord | None:
    """Return a payment, None too for one whose row is damaged: it must not keep the log from being trimmed."""
    try:
        return store.transaction(transaction_id)
    except StoreCorrupt:
        return None
