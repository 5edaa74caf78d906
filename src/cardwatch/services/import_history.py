"""Take in history: payments with what became of them, and the feature state that follows; nobody is asked anything.

Rows come in order of (time, id). A fraud is counted in feature state when its label was known: before the first payment
of that instant or later, as in a replay of the same rows. Each commit ends at some point of that one order, so that the
same rows again add what a crash has cut off, and nothing twice.
"""

import heapq
from collections.abc import Callable, Iterable

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.changes import AddLabel, AddTransaction, Change, DecideTransaction, PutAccount
from cardwatch.domain.decision import DecidedBy, Decision, Outcome
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.label import Label, LabelSource, LabelValue
from cardwatch.domain.times import SECOND_MS
from cardwatch.domain.transaction import Status
from cardwatch.features.engine import FeatureEngine
from cardwatch.features.spec import LABEL_DELAY_S
from cardwatch.ports import Store
from cardwatch.services.feature_state import state_after
from cardwatch.services.label_effect import effect_on

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
    label_delay_ms: int = LABEL_DELAY_S * SECOND_MS,
    progress: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Write rows in groups, each with its effect on feature state; `progress` hears of rows that are durable.

    Labels that do not say since when they were known were so `label_delay_ms` after their payments. Those that the
    rows do not reach are written at the end.
    """
    work = _Import(store, engine, now_ms, label_delay_ms)
    batch: list[HistoryRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == GROUP_ROWS:
            work.take(batch)
            progress(len(batch))
            batch = []
    if batch:
        work.take(batch)
        progress(len(batch))
    work.finish()
    return work.imported


class _Import:
    """An import under way, with the frauds whose labels are still to come: (known from, payment) -> label."""

    def __init__(self, store: Store, engine: FeatureEngine, now_ms: int, label_delay_ms: int) -> None:
        self.imported = Imported()
        self._store, self._engine, self._now_ms = store, engine, now_ms
        self._label_delay_ms = label_delay_ms
        self._frauds: list[tuple[int, str, Label]] = []

    def take(self, batch: list[HistoryRow]) -> None:
        """Write rows, and the labels that became known before each of them, in one commit."""
        with self._store.group():
            for row in batch:
                while self._frauds and self._frauds[0][0] <= row.transaction.timestamp_ms:
                    self._count_fraud()
                self._take_row(row)

    def finish(self) -> None:
        """Write the labels that became known after the last row."""
        while self._frauds:
            with self._store.group():
                for _ in range(min(GROUP_ROWS, len(self._frauds))):
                    self._count_fraud()

    def _take_row(self, row: HistoryRow) -> None:
        store, label = self._store, self._label(row)
        account = store.account(row.transaction.user_id)
        changes: list[Change] = [AddTransaction(row.transaction)]
        if account is None:
            changes.append(PutAccount(row.account))
        changes += self._effects(row, account or row.account)
        if label is not None and not row.is_fraud:  # no state counts it, so it need not wait for its time
            changes.append(AddLabel(label, None, applied=True))
        if store.apply(changes) is None:
            self.imported.added += 1
            self.imported.accounts += account is None
        else:
            self.imported.known += 1
            self._take_missing_label(label)
        if label is not None and row.is_fraud:
            heapq.heappush(self._frauds, (label.available_at_ms, label.transaction_id, label))

    def _take_missing_label(self, label: Label | None) -> None:
        """Give a payment that was there already its label of genuine, unless it has one or is not decided yet."""
        if label is None or label.value is LabelValue.FRAUD:
            return
        record = self._store.transaction(label.transaction_id)
        if record is not None and record.label is None and record.status is not Status.PENDING:
            self._store.apply([AddLabel(label, None, applied=True)])

    def _count_fraud(self) -> None:
        """Write the next label and its effect, unless the payment has a label or is not decided yet."""
        _, _, label = heapq.heappop(self._frauds)
        record = self._store.transaction(label.transaction_id)
        if record is None or record.label is not None or record.status is Status.PENDING:
            return
        effect = effect_on(record, 1, store=self._store, engine=self._engine)
        self._store.apply([AddLabel(label, None, applied=True), *effect])

    def _effects(self, row: HistoryRow, account: Account) -> list[Change]:
        transaction = row.transaction
        decision = Decision(
            outcome=Outcome.APPROVE,
            decided_by=DecidedBy.IMPORT,
            decided_at_ms=self._now_ms,
            spec_hash=self._engine.spec_hash,
        )
        changes: list[Change] = [DecideTransaction(transaction.transaction_id, decision, Status.APPROVED)]
        changes += state_after(transaction, account, store=self._store, engine=self._engine)
        return changes

    def _label(self, row: HistoryRow) -> Label | None:
        if row.is_fraud is None:
            return None
        available_ms = row.label_available_ms
        if available_ms is None:
            available_ms = row.transaction.timestamp_ms + self._label_delay_ms
        return Label(
            transaction_id=row.transaction.transaction_id,
            value=LabelValue.FRAUD if row.is_fraud else LabelValue.GENUINE,
            source=LabelSource(row.label_source) if row.label_source else LabelSource.IMPORT,
            available_at_ms=available_ms,
        )
