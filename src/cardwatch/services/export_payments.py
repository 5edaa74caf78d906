"""Payments with what became of them, flat, so that one trains on one's own data (`--format cardwatch`)."""

from collections.abc import Iterator

from cardwatch.domain.times import format_instant
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.ports import Transactions

COLUMNS = (
    "transaction_id",
    "user_id",
    "amount",
    "currency",
    "merchant",
    "merchant_id",
    "timestamp",
    "location",
    "latitude",
    "longitude",
    "country",
    "category",
    "mcc",
    "channel",
    "device_id",
    "status",
    "decision",
    "fraud_score",
    "label",
    "label_source",
    "available_at",
)


def export_rows(store: Transactions) -> Iterator[tuple[str, ...]]:
    """Yield one row a payment in order of arrival; what is missing is empty. The label is the current one."""
    for record, _ in store.export():
        yield _row(record)


def _row(record: TransactionRecord) -> tuple[str, ...]:
    transaction, decision, label = record.transaction, record.decision, record.label
    place = transaction.place
    values = (
        transaction.transaction_id,
        transaction.user_id,
        transaction.amount.decimal,
        transaction.amount.currency,
        transaction.merchant,
        transaction.merchant_id,
        format_instant(transaction.timestamp_ms),
        transaction.location,
        place.latitude if place else None,
        place.longitude if place else None,
        transaction.country,
        transaction.category,
        transaction.mcc,
        transaction.channel,
        transaction.device_id,
        record.status.value,
        decision.outcome.value if decision else None,
        decision.score if decision else None,
        label.value.value if label else None,
        label.source.value if label else None,
        format_instant(label.available_at_ms) if label else None,
    )
    return tuple("" if value is None else str(value) for value in values)
