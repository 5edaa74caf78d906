"""Payments with what became of them, flat, so that one trains on one's own data (`--format cardwatch`)."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Protocol

from cardwatch.domain.account import Account
from cardwatch.domain.label import Label
from cardwatch.domain.place import Place
from cardwatch.domain.times import format_instant
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.ports import Accounts, Transactions

_ACCOUNTS_KEPT = 10_000

COLUMNS = (
    "transaction_id",
    "user_id",
    "amount",
    "currency",
    "account_currency",
    "merchant",
    "merchant_id",
    "timestamp",
    "location",
    "latitude",
    "longitude",
    "merchant_latitude",
    "merchant_longitude",
    "country",
    "category",
    "mcc",
    "channel",
    "device_id",
    "time_zone",
    "home_location",
    "home_latitude",
    "home_longitude",
    "status",
    "decision",
    "fraud_score",
    "label",
    "label_source",
    "available_at",
)


class Reads(Transactions, Accounts, Protocol):
    """What is read to export."""


def export_rows(store: Reads) -> Iterator[tuple[str, ...]]:
    """Yield one row a payment in order of arrival; what is missing is empty.

    The label is the current one, and it is available since it was first said without a contrary one in between:
    that is when feature state began to count it.
    """
    account_of = lru_cache(maxsize=_ACCOUNTS_KEPT)(store.account)
    for record, labels in store.export():
        values = (*_payment(record), *_holder(account_of(record.transaction.user_id)), *_outcome(record, labels))
        yield tuple("" if value is None else str(value) for value in values)


def _payment(record: TransactionRecord) -> tuple[object, ...]:
    """Return a payment's own columns: a place that was found goes by the name it was found under, with its country.

    What was sent may name the same place otherwise, and who reads the file may have no gazetteer.
    """
    transaction, place = record.transaction, record.transaction.place
    found = place or transaction.merchant_place
    return (
        transaction.transaction_id,
        transaction.user_id,
        transaction.amount.decimal,
        transaction.amount.currency,
        transaction.account_currency,
        transaction.merchant,
        transaction.merchant_id,
        format_instant(transaction.timestamp_ms),
        place.name if place and place.name else transaction.location,
        *_coordinates(place),
        *_coordinates(transaction.merchant_place),
        transaction.country or (found.country if found else None),
        transaction.category,
        transaction.mcc,
        transaction.channel,
        transaction.device_id,
    )


def _holder(account: Account | None) -> tuple[object, ...]:
    if account is None:
        return (None,) * 4
    return (account.time_zone, account.home.location, *_coordinates(account.home.place))


def _outcome(record: TransactionRecord, labels: Sequence[Label]) -> tuple[object, ...]:
    decision, label = record.decision, record.label
    return (
        record.status.value,
        decision.outcome.value if decision else None,
        decision.score if decision else None,
        label.value.value if label else None,
        label.source.value if label else None,
        format_instant(_available_ms(label, labels)) if label else None,
    )


def _available_ms(current: Label, labels: Sequence[Label]) -> int:
    agreeing = takewhile(lambda label: label.value is current.value, reversed(labels))
    return min((label.available_at_ms for label in agreeing), default=current.available_at_ms)


def _coordinates(place: Place | None) -> tuple[float | None, float | None]:
    return (place.latitude, place.longitude) if place else (None, None)
