"""Decides payments that several processes may hold at once: exactly one decision each, every state counted once.

Where a store writes states one by one (`apply_state`), the decision is one conditional write and the states follow it,
each remembering the payments that it counted; a payment delivered again after a crash has its states completed. Other
stores take everything as one list.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, Protocol, cast

import structlog

from cardwatch.domain.account import Account
from cardwatch.domain.changes import AddDeadLetter, Change, DecideTransaction, PutState
from cardwatch.domain.errors import CardwatchError, Contended, StoreCorrupt
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.features.event import payment_event
from cardwatch.ports import Store
from cardwatch.runtime.aws.home import Home
from cardwatch.services.score_transaction import Asking, Decided, Judges, give_to_review, score_transaction

CONSUMER: Final = "score"
"""In whose name dead letters are kept, as in the embedded home."""

RACES_MAX: Final = 10

_log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What came of a payment that was to be decided."""

    DECIDED = "decided"
    ALREADY = "already"
    """Somebody else had decided it; its states are complete."""
    REVIEW = "review"
    """It could not be handled and went to review, with a dead letter."""
    GONE = "gone"
    """There is no such payment, or none that can be read; a dead letter says so."""


class StateOutcome(Protocol):
    """What came of applying a payment's effect to a state."""

    @property
    def applied(self) -> StrEnum:
        """One of "done", "already" and "doubtful"."""
        ...

    @property
    def retries(self) -> int:
        """How often another writer was first."""
        ...


class StateSteps(Protocol):
    """A store that applies a payment's effect to one state, exactly once within that state's next payments."""

    def apply_state(
        self,
        entity: str,
        key: str,
        *,
        sequence: int,
        step: Callable[[bytes | None], bytes],
        redelivered: bool = False,
    ) -> StateOutcome:
        """Apply `step` to the stored bytes; see `adapters.dynamodb.store`."""
        ...


class Decider:
    """Decides payments of one home."""

    def __init__(self, home: Home, *, judges: Judges, asking: Asking) -> None:
        self._home = home
        self._judges = judges
        self._asking = asking
        self._steps: StateSteps | None = cast("StateSteps", home.store) if hasattr(home.store, "apply_state") else None

    def decide(self, record: TransactionRecord) -> Outcome:
        """Decide a payment as it was read, pending or not.

        Raises StoreUnavailable and Contended, when another try may do; whatever else goes wrong is an exception that
        the same payment would cause again.
        """
        if record.status is not Status.PENDING:
            self._complete(record)
            return Outcome.ALREADY
        decided = self._decided(record)
        if decided is None:
            current = self._home.store.transaction(record.transaction.transaction_id)
            if current is not None:
                self._complete(current)
            return Outcome.ALREADY
        self._count(decided.record)
        return Outcome.DECIDED

    def set_aside(self, transaction_id: str, cause: str) -> Outcome:
        """Send a payment that cannot be handled to review, and keep its cause; raises StoreUnavailable."""
        home, now_ms = self._home, self._home.clock.now_ms()
        home.metrics.count("dead_letters_total", {"consumer": CONSUMER})
        letter = AddDeadLetter(CONSUMER, transaction_id, cause, "", now_ms)
        try:
            record = home.store.transaction(transaction_id)
        except StoreCorrupt:
            record = None
        if record is None:
            home.store.apply([letter])
            return Outcome.GONE
        decided = give_to_review(record, cause=cause, now_ms=now_ms)
        lost = home.store.apply([*decided.changes, letter])
        if lost is not None:
            home.store.apply([letter])
            return Outcome.ALREADY
        self._count(decided.record)
        return Outcome.REVIEW

    def _decided(self, record: TransactionRecord) -> Decided | None:
        home = self._home
        for _ in range(RACES_MAX):
            seen = _Seen(home.store)
            decided = score_transaction(
                record, store=cast("Store", seen), judges=self._judges, asking=self._asking, now_ms=home.clock.now_ms()
            )
            lost = home.store.apply(self._at_once(decided))
            if lost is None:
                self._count_in_states(record, seen.account(record.transaction.user_id), redelivered=False)
                return decided
            if isinstance(lost, DecideTransaction):
                return None
            home.metrics.count("state_races_total")
        raise Contended("what a payment is compared with kept changing while it was decided")

    def _at_once(self, decided: Decided) -> list[Change]:
        if self._steps is None:
            return list(decided.changes)
        return [change for change in decided.changes if not isinstance(change, PutState)]

    def _complete(self, record: TransactionRecord) -> None:
        """Count a payment that is decided already in those states which a crash kept from it."""
        if self._steps is not None and record.decision is not None and record.decision.spec_hash is not None:
            account = self._home.store.account(record.transaction.user_id)
            self._count_in_states(record, account, redelivered=True)

    def _count_in_states(self, record: TransactionRecord, account: Account | None, *, redelivered: bool) -> None:
        if self._steps is None:
            return
        engine = self._judges.engine
        event = payment_event(record.transaction, account)
        for place in engine.keys(event):

            def step(blob: bytes | None, place: tuple[str, str] = place) -> bytes:
                states = engine.load((place,), [blob])
                engine.update(event, states)
                return engine.dump(states)[0]

            done = self._steps.apply_state(*place, sequence=record.sequence, step=step, redelivered=redelivered)
            if done.retries:
                self._home.metrics.count("state_races_total", amount=done.retries)
            if done.applied == "doubtful":
                _log.warning("state_doubtful", transaction_id=record.transaction.transaction_id, entity=place[0])
                self._home.metrics.count("stream_records_total", {"result": "doubtful"})

    def _count(self, record: TransactionRecord) -> None:
        decision = record.decision
        if decision is None:
            raise CardwatchError("a decided payment has no decision")
        metrics = self._home.metrics
        metrics.count("decisions_total", {"outcome": decision.outcome.value, "by": decision.decided_by.value})
        metrics.observe("decision_seconds", (decision.decided_at_ms - record.transaction.received_at_ms) / 1000)
        if decision.score is not None:
            metrics.observe("fraud_score", decision.score)


class _Seen:
    """A store that reads each account once: the states are counted with the account that was decided with."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._accounts: dict[str, Account | None] = {}

    def account(self, user_id: str) -> Account | None:
        if user_id not in self._accounts:
            self._accounts[user_id] = self._store.account(user_id)
        return self._accounts[user_id]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
