"""What the tests of deciding share: a scorer that says what it is told, and one call that records and decides."""

from collections.abc import Sequence

import msgspec

from cardwatch.adapters.clock import SeededRandomness
from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import AddTransaction
from cardwatch.domain.decision import Explanation, Reason
from cardwatch.domain.errors import ScorerUnavailable
from cardwatch.domain.policy import Policy
from cardwatch.domain.transaction import Transaction, TransactionRecord
from cardwatch.features.engine import default_engine
from cardwatch.services.reach import Sender
from cardwatch.services.score_transaction import Asking, Decided, Judges, score_transaction
from tests.builders import NOW_MS, OWN_NUMBER, make_reason

TTL_MS = 1_800_000
ASKING = Asking(Sender(institution="Cardwatch", own_number=OWN_NUMBER), TTL_MS, SeededRandomness())


class ToldScorer:
    """Gives one score to everything, after failing a number of times; may fail to explain."""

    model_version = "told-1"
    threshold = 0.5
    spec_hash = default_engine().spec_hash

    def __init__(self, score: float, *, failures: int = 0, explains: bool = True) -> None:
        self._score = score
        self._failures = failures
        self._explains = explains
        self.vectors: list[tuple[float, ...]] = []

    def score(self, vector: Sequence[float]) -> float:
        """Give the score, or fail."""
        if self._failures:
            self._failures -= 1
            raise ScorerUnavailable("told to fail")
        self.vectors.append(tuple(vector))
        return self._score

    def reasons(self, vector: Sequence[float], *, currency: str) -> tuple[Reason, ...]:
        """Give one reason, or fail."""
        if not self._explains:
            raise ScorerUnavailable("told to fail")
        return (make_reason(text=f"told, {len(vector)} features, {currency}"),)

    def explain(self, vector: Sequence[float], *, currency: str) -> Explanation:
        """Give the same reason as the whole explanation, or fail."""
        (reason,) = self.reasons(vector, currency=currency)
        return Explanation(base=0.0, margin=reason.contribution, reasons=(reason,))


def judges(scorer: ToldScorer, policy: Policy | None = None, *, threshold: float = 0.5) -> Judges:
    """Return what decides with that scorer."""
    return Judges(engine=default_engine(), scorer=scorer, policy=policy or Policy(), threshold=threshold)


def record_of(store: MemoryStore, transaction_id: str) -> TransactionRecord:
    """Return a payment that must be there."""
    record = store.transaction(transaction_id)
    assert record is not None
    return record


def add(store: MemoryStore, transaction: Transaction) -> TransactionRecord:
    """Record a payment as pending."""
    assert store.apply([AddTransaction(transaction)]) is None
    return record_of(store, transaction.transaction_id)


def decide(store: MemoryStore, record: TransactionRecord, judged_by: Judges, *, now_ms: int = NOW_MS) -> Decided:
    """Decide a payment and apply what follows."""
    decided = score_transaction(record, store=store, judges=judged_by, asking=ASKING, now_ms=now_ms)
    assert store.apply(decided.changes) is None
    stored = record_of(store, record.transaction.transaction_id)
    assert msgspec.structs.replace(decided.record, sequence=stored.sequence) == stored
    return decided
