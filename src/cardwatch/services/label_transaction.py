"""Say what a payment turned out to be: an analyst's label moves a payment out of review, a chargeback only labels."""

from enum import StrEnum

import msgspec

from cardwatch.domain.changes import AddLabel, Change, MoveTransaction
from cardwatch.domain.errors import Contended
from cardwatch.domain.label import Label, LabelSource, LabelValue
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import Store

_ATTEMPTS = 3


class Labelling(StrEnum):
    """What came of a label."""

    DONE = "done"
    SAME = "same"
    """The current label says the same from the same source."""
    UNKNOWN_TRANSACTION = "unknown_transaction"
    CONFLICT = "conflict"
    """An analyst said otherwise before, and the request does not replace it."""
    UNDECIDED = "undecided"
    """The payment is still pending."""


class Labelled(msgspec.Struct, frozen=True):
    """The payment after the label, None when it is unknown."""

    labelling: Labelling
    record: TransactionRecord | None


def label_transaction(
    transaction_id: str,
    *,
    value: LabelValue,
    source: LabelSource,
    note: str | None,
    replace: bool,
    store: Store,
    now_ms: int,
) -> Labelled:
    """Label a payment as an analyst or a chargeback says; analysts' labels decide payments in review."""
    for _ in range(_ATTEMPTS):
        record = store.transaction(transaction_id)
        if record is None:
            return Labelled(Labelling.UNKNOWN_TRANSACTION, None)
        current = record.label
        if record.status is Status.PENDING:
            return Labelled(Labelling.UNDECIDED, record)
        same = current is not None and current.value is value
        by_analyst = current is not None and current.is_analysts
        if by_analyst and not same and not replace:
            return Labelled(Labelling.CONFLICT, record)
        label = Label(
            transaction_id=transaction_id,
            value=value,
            source=source,
            available_at_ms=now_ms,
            note=note,
            analyst_agrees=by_analyst and same and source is not LabelSource.ANALYST,
        )
        moves = _move(record, label)
        if current is not None and (current.value, current.source, current.note) == (value, source, note) and not moves:
            return Labelled(Labelling.SAME, record)
        changes: list[Change] = [AddLabel(label, current.source if current else None), *moves]
        if store.apply(changes) is None:
            return Labelled(Labelling.DONE, store.transaction(transaction_id))
    raise Contended("the payment kept changing while it was labelled")


def _move(record: TransactionRecord, label: Label) -> list[Change]:
    if label.source is not LabelSource.ANALYST or record.status is not Status.IN_REVIEW:
        return []
    status = Status.DECLINED if label.value is LabelValue.FRAUD else Status.APPROVED
    return [MoveTransaction(label.transaction_id, Status.IN_REVIEW, status, f"analyst_{label.value.value}")]
