"""Take in history: payments with what became of them, and the feature state that follows; nobody is asked anything.

Rows come in order of (time, id), and the same rows again change nothing.
"""

from collections.abc import Callable, Iterable

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.changes import AddLabel, AddTransaction, Change, DecideTransaction, PutAccount
from cardwatch.domain.decision import DecidedBy, Decision, Outcome
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.label import Label, LabelSource, LabelValue
from cardwatch.domain.transaction import Status
from cardwatch.features.engine import FeatureEngine
from cardwatch.ports import Store
from cardwatch.services.feature_state import state_after

GROUP_ROWS = 500
"""Rows in one commit: a crash loses at most this much work, and repeating the import takes it up again."""


class Imported(msgspec.Struct):
    """What came of an import, in rows."""

    added: int = 0
    known: int = 0
    """Already there with the same id."""
    accounts: int = 0


def import_history(
    rows: Iterable[HistoryRow],
    *,
    store: Store,
    engine: FeatureEngine,
    now_ms: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Write rows in groups, each with its effect on feature state; `progress` hears of rows that are durable."""
    imported = Imported()
    batch: list[HistoryRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == GROUP_ROWS:
            _import_group(batch, store=store, engine=engine, now_ms=now_ms, imported=imported)
            progress(len(batch))
            batch = []
    if batch:
        _import_group(batch, store=store, engine=engine, now_ms=now_ms, imported=imported)
        progress(len(batch))
    return imported


def _import_group(
    batch: list[HistoryRow], *, store: Store, engine: FeatureEngine, now_ms: int, imported: Imported
) -> None:
    with store.group():
        for row in batch:
            account = store.account(row.transaction.user_id)
            changes: list[Change] = [AddTransaction(row.transaction)]
            if account is None:
                account = row.account
                changes.append(PutAccount(account))
                imported.accounts += 1
            changes += _effects(row, account, store, engine, now_ms)
            if store.apply(changes) is None:
                imported.added += 1
            else:
                imported.known += 1


def _effects(row: HistoryRow, account: Account, store: Store, engine: FeatureEngine, now_ms: int) -> list[Change]:
    transaction = row.transaction
    decision = Decision(
        outcome=Outcome.APPROVE, decided_by=DecidedBy.IMPORT, decided_at_ms=now_ms, spec_hash=engine.spec_hash
    )
    changes: list[Change] = [DecideTransaction(transaction.transaction_id, decision, Status.APPROVED)]
    changes += state_after(transaction, account, store=store, engine=engine)
    if row.is_fraud is not None:
        changes.append(AddLabel(_label(row), None))
    return changes


def _label(row: HistoryRow) -> Label:
    available_ms = row.label_available_ms
    return Label(
        transaction_id=row.transaction.transaction_id,
        value=LabelValue.FRAUD if row.is_fraud else LabelValue.GENUINE,
        source=LabelSource(row.label_source) if row.label_source else LabelSource.IMPORT,
        available_at_ms=row.transaction.timestamp_ms if available_ms is None else available_ms,
    )
