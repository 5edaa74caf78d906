"""The stream consumer that decides payments: it follows the change log, and its position commits with its effects.

Whoever waits for a payment's decision is told when the decision is durable.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from cardwatch.domain.changes import AddDeadLetter, DecideTransaction, SetCursor
from cardwatch.domain.errors import CardwatchError, StoreCorrupt, StoreUnavailable
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import Clock, LogEntry, Metrics, Store
from cardwatch.services.score_transaction import Decided, give_to_review

CONSUMER = "score"

ENTRIES_MAX = 128
"""Log entries read at a time; about half of them are payments to decide."""

_RACES_MAX = 3

_log = structlog.get_logger(__name__)


class ScoringConsumer:
    """Decides recorded payments in the order of the log, inside the writer's groups."""

    def __init__(
        self, store: Store, decide: Callable[[TransactionRecord, int], Decided], clock: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._decide = decide
        self._clock = clock
        self._metrics = metrics
        self._durable = store.cursor(CONSUMER)
        """Where the stored cursor stands."""
        self._read = self._durable
        """How far the log is known to hold nothing more to decide."""
        self._next = self._durable
        self._decided: list[TransactionRecord] = []
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
        """Decide what the log holds next; returns whether there is something to commit."""
        while entries := self._store.log(after=self._read, limit=ENTRIES_MAX):
            for entry in _perhaps_undecided(entries):
                self._handle(entry)
            position = entries[-1].sequence
            if self._decided:
                self._move_cursor(position)
                return True
            self._read = position  # what is decided already, and what others wrote, is no work of this consumer
        return False

    def pass_over(self) -> bool:
        """Keep how far the log holds nothing to decide; returns whether there is something to commit.

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
        self._new_waiters.clear()
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
        self._decided = []
        self._read = self._next = self._durable
        for transaction_id in self._new_waiters:
            self._waiters.pop(transaction_id, None)
        self._new_waiters.clear()

    def _handle(self, entry: LogEntry) -> None:
        now_ms = self._clock.now_ms()
        try:
            record = self._store.transaction(entry.key)
        except StoreCorrupt as error:
            self._keep_unreadable(entry.key, error, now_ms)
            return
        if record is None or record.status is not Status.PENDING:
            return
        try:
            decided = self._decide_exactly(record, now_ms)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  poison must not block what stands behind it
            decided = self._set_aside(record, error, now_ms)
        if decided is not None:
            self._decided.append(decided.record)

    def _decide_exactly(self, record: TransactionRecord, now_ms: int) -> Decided | None:
        for _ in range(_RACES_MAX):
            decided = self._decide(record, now_ms)
            lost = self._store.apply(decided.changes)
            if lost is None:
                return decided
            if isinstance(lost, DecideTransaction):
                return None
        raise CardwatchError(f"the change {type(lost).__name__} kept losing its race")

    def _keep_unreadable(self, transaction_id: str, error: Exception, now_ms: int) -> None:
        """Keep what is known of a payment whose row is damaged; nothing can be decided about it."""
        _log.error("payment_unreadable", transaction_id=transaction_id, error=type(error).__name__)
        self._metrics.count("dead_letters_total", {"consumer": CONSUMER})
        self._store.apply([AddDeadLetter(CONSUMER, transaction_id, "StoreCorrupt: the payment's row", "", now_ms)])

    def _set_aside(self, record: TransactionRecord, error: Exception, now_ms: int) -> Decided | None:
        """Send a payment that cannot be handled to review, and keep its cause for an operator."""
        transaction_id = record.transaction.transaction_id
        cause = f"{type(error).__name__}: scoring failed"
        _log.error("scoring_failed", transaction_id=transaction_id, error=type(error).__name__, exc_info=error)
        self._metrics.count("dead_letters_total", {"consumer": CONSUMER})
        decided = give_to_review(record, cause=cause, now_ms=now_ms)
        dead_letter = AddDeadLetter(CONSUMER, transaction_id, cause, "", now_ms)
        return decided if self._store.apply([*decided.changes, dead_letter]) is None else None

    def _count(self, record: TransactionRecord) -> None:
        decision = record.decision
        if decision is None:
            return
        self._metrics.count("decisions_total", {"outcome": decision.outcome.value, "by": decision.decided_by.value})
        waited_ms = decision.decided_at_ms - record.transaction.received_at_ms
        self._metrics.observe("decision_seconds", waited_ms / 1000)
        if decision.score is not None:
            self._metrics.observe("fraud_score", decision.score)


def _perhaps_undecided(entries: Sequence[LogEntry]) -> list[LogEntry]:
    """Return the payments recorded that are not decided among the same entries, as imported ones are."""
    decided = {entry.key for entry in entries if entry.kind == "transaction.decided"}
    return [entry for entry in entries if entry.kind == "transaction.recorded" and entry.key not in decided]
