"""The stream consumer that decides payments and counts labels: its position in the log commits with its effects.

All changes of feature state come from here, in the order of the log; imports alone write theirs themselves.

Whoever waits for a payment's decision is told when the decision is durable.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from cardwatch.domain.changes import AddDeadLetter, DecideTransaction, PutState, SetCursor
from cardwatch.domain.errors import CardwatchError, StoreCorrupt, StoreUnavailable
from cardwatch.domain.label import fraud_change
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import Clock, LogEntry, Metrics, Store
from cardwatch.services.replay_dead_letters import LABEL_PAYLOAD
from cardwatch.services.score_transaction import Decided, give_to_review

CONSUMER = "score"

LABEL_ADDED = "label.added"
"""Kind of the log entry of a label whose effect on feature state is still to come."""

ENTRIES_MAX = 128
"""Log entries read at a time; about half of them are payments to decide."""

_RACES_MAX = 3

_log = structlog.get_logger(__name__)


class ScoringConsumer:
    """Decides recorded payments and counts labels in the order of the log, inside the writer's groups."""

    def __init__(
        self,
        store: Store,
        decide: Callable[[TransactionRecord, int], Decided],
        label_effect: Callable[[str, int], Sequence[PutState]],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._decide = decide
        self._label_effect = label_effect
        self._clock = clock
        self._metrics = metrics
        self._durable = store.cursor(CONSUMER)
        """Where the stored cursor stands."""
        self._read = self._durable
        """How far the log is known to hold nothing more to do."""
        self._next = self._durable
        self._decided: list[TransactionRecord] = []
        self._labelled: list[int] = []
        """Changes of known frauds, 1 or -1, that wait for their commit."""
        self._wrote = False
        self._waiters: dict[str, list[asyncio.Future[TransactionRecord]]] = {}
        self._new_waiters: list[str] = []
        self.on_texts: Callable[[], None] = lambda: None

    def decision(self, transaction_id: str) -> asyncio.Future[TransactionRecord]:
        """Return a future of a pending payment as decided; to be called in the group that found it pending."""
        future: asyncio.Future[TransactionRecord] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(transaction_id, []).append(future)
        self._new_waiters.append(transaction_id)
        return future

    def forget(self, transaction_id: str) -> None:
        """Drop the waiters of a payment that gave up."""
        waiters = [future for future in self._waiters.pop(transaction_id, []) if not future.done()]
        if waiters:
            self._waiters[transaction_id] = waiters

    def run(self) -> bool:
        """Do what the log holds next; returns whether there is something to commit."""
        while entries := self._store.log(after=self._read, limit=ENTRIES_MAX):
            for entry in _perhaps_to_do(entries):
                self._handle(entry)
            position = entries[-1].sequence
            if self._wrote:
                self._move_cursor(position)
                return True
            self._read = position  # what is decided already, and what others wrote, is no work of this consumer
        return False

    def pass_over(self) -> bool:
        """Keep how far the log holds nothing to do; returns whether there is something to commit.

        Not worth a write of its own while serving, but after an import it is the whole log.
        """
        if self._read == self._durable:
            return False
        self._move_cursor(self._read)
        return True

    def _move_cursor(self, position: int) -> None:
        if self._store.apply([SetCursor(CONSUMER, self._durable, position)]) is not None:
            raise StoreUnavailable("another process moved the scoring cursor")
        self._next = position

    def committed(self) -> None:
        """Tell those who wait, and count."""
        self._durable = self._next
        self._read = max(self._read, self._next)
        self._wrote = False
        self._new_waiters.clear()
        labelled, self._labelled = self._labelled, []
        for change in labelled:
            self._metrics.count("labels_applied_total", {"change": "fraud" if change > 0 else "no_longer_fraud"})
        decided, self._decided = self._decided, []
        asked = False
        for record in decided:
            asked = asked or record.challenge is not None
            self._count(record)
            for future in self._waiters.pop(record.transaction.transaction_id, ()):
                if not future.done():
                    future.set_result(record)
        if asked:
            self.on_texts()

    def rolled_back(self) -> None:
        """Start again from the last durable position."""
        self._decided, self._labelled, self._wrote = [], [], False
        self._read = self._next = self._durable
        for transaction_id in self._new_waiters:
            self._waiters.pop(transaction_id, None)
        self._new_waiters.clear()

    def _handle(self, entry: LogEntry) -> None:
        is_label = entry.kind == LABEL_ADDED
        try:
            if is_label:
                self._count_label(entry)
            else:
                self._decide_payment(entry.key)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  poison must not block what stands behind it
            if is_label:
                self._set_label_aside(entry, error)
            else:
                self._set_payment_aside(entry.key, error)

    def _decide_payment(self, transaction_id: str) -> None:
        record = self._store.transaction(transaction_id)
        if record is None or record.status is not Status.PENDING:
            return
        self._took(self._decide_exactly(record, self._clock.now_ms()))

    def _took(self, decided: Decided | None) -> None:
        if decided is not None:
            self._wrote = True
            self._decided.append(decided.record)

    def _count_label(self, entry: LogEntry) -> None:
        change = fraud_change(entry.detail)
        if change != 0 and self._apply_label(entry.key, change):
            self._wrote = True
            self._labelled.append(change)

    def _apply_label(self, transaction_id: str, change: int) -> bool:
        """Apply a label's effect on feature state; returns whether it has one."""
        for _ in range(_RACES_MAX):
            effect = self._label_effect(transaction_id, change)
            if not effect:
                return False
            if self._store.apply(effect) is None:
                return True
        raise CardwatchError("the states that a label changes kept losing their race")

    def _decide_exactly(self, record: TransactionRecord, now_ms: int) -> Decided | None:
        for _ in range(_RACES_MAX):
            decided = self._decide(record, now_ms)
            lost = self._store.apply(decided.changes)
            if lost is None:
                return decided
            if isinstance(lost, DecideTransaction):
                return None
        raise CardwatchError(f"the change {type(lost).__name__} kept losing its race")

    def _keep(self, transaction_id: str, cause: str, payload: str = "") -> None:
        """Keep what is known of something about which nothing else can be done, for an operator."""
        self._metrics.count("dead_letters_total", {"consumer": CONSUMER})
        self._store.apply([AddDeadLetter(CONSUMER, transaction_id, cause, payload, self._clock.now_ms())])
        self._wrote = True

    def _set_label_aside(self, entry: LogEntry, error: Exception) -> None:
        """Keep a label that cannot be counted, with its cause, for an operator to replay."""
        _log.error("label_failed", transaction_id=entry.key, error=type(error).__name__, exc_info=error)
        self._keep(entry.key, f"{type(error).__name__}: a label was not counted", LABEL_PAYLOAD + entry.detail)

    def _set_payment_aside(self, transaction_id: str, error: Exception) -> None:
        """Send a payment that cannot be handled to review, and keep its cause for an operator.

        About one whose row is damaged nothing can be decided; only the cause is kept.
        """
        try:
            record = self._store.transaction(transaction_id)
        except StoreCorrupt:
            _log.error("payment_unreadable", transaction_id=transaction_id, error=type(error).__name__)
            self._keep(transaction_id, "StoreCorrupt: the payment's row")
            return
        if record is None:
            return
        cause, now_ms = f"{type(error).__name__}: scoring failed", self._clock.now_ms()
        _log.error("scoring_failed", transaction_id=transaction_id, error=type(error).__name__, exc_info=error)
        self._metrics.count("dead_letters_total", {"consumer": CONSUMER})
        decided = give_to_review(record, cause=cause, now_ms=now_ms)
        dead_letter = AddDeadLetter(CONSUMER, transaction_id, cause, "", now_ms)
        if self._store.apply([*decided.changes, dead_letter]) is None:
            self._took(decided)

    def _count(self, record: TransactionRecord) -> None:
        decision = record.decision
        if decision is None:
            return
        self._metrics.count("decisions_total", {"outcome": decision.outcome.value, "by": decision.decided_by.value})
        waited_ms = decision.decided_at_ms - record.transaction.received_at_ms
        self._metrics.observe("decision_seconds", waited_ms / 1000)
        if decision.score is not None:
            self._metrics.observe("fraud_score", decision.score)


def _perhaps_to_do(entries: Sequence[LogEntry]) -> list[LogEntry]:
    """Return labels, and the payments recorded that are not decided among the same entries, as imported ones are."""
    decided = {entry.key for entry in entries if entry.kind == "transaction.decided"}
    return [
        entry
        for entry in entries
        if entry.kind == LABEL_ADDED or (entry.kind == "transaction.recorded" and entry.key not in decided)
    ]
