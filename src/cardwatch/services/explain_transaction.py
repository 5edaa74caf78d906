"""Explain the score of a decided payment from the vector stored with it: what the model saw, not what is now."""

import math
import struct

import msgspec

from cardwatch.domain.decision import FALLBACK_MARK, Decision, Explanation
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.services.score_transaction import Judges

_TOLERANCE = 1e-6
"""Relative; what the same model gives for the same vector on another machine differs by less."""


class Explained(msgspec.Struct, frozen=True):
    """A payment's whole explanation, with what it was made with."""

    transaction_id: str
    model_version: str
    spec_hash: str
    explanation: Explanation


class NotExplained(msgspec.Struct, frozen=True):
    """Why a payment's score cannot be explained, in one sentence."""

    why: str


def explain_transaction(record: TransactionRecord, *, judges: Judges) -> Explained | NotExplained:
    """Explain a payment's score with the model that gave it; raises ScorerUnavailable."""
    decision, scorer = record.decision, judges.scorer
    if decision is None or decision.score is None or decision.vector is None or decision.model_version is None:
        return NotExplained("no model has scored this payment")
    version = decision.model_version
    if version.removesuffix(FALLBACK_MARK) != scorer.model_version.removesuffix(FALLBACK_MARK):
        return NotExplained(f"this payment was scored by model {version}; loaded is {scorer.model_version}")
    spec_hash = decision.spec_hash or ""
    if spec_hash != judges.engine.spec_hash:
        computed = judges.engine.spec_hash
        return NotExplained(f"this payment's features are of definition {spec_hash}; loaded is {computed}")
    vector = _vector(decision)
    if len(vector) != len(judges.engine.names):
        return NotExplained(f"this payment's vector holds {len(vector)} features, not {len(judges.engine.names)}")
    explanation = scorer.explain(vector, currency=record.transaction.amount.currency)
    if not math.isclose(_logistic(explanation.margin), decision.score, rel_tol=_TOLERANCE, abs_tol=1e-12):
        return NotExplained("the loaded model gives another score for this payment's vector than the one stored")
    return Explained(record.transaction.transaction_id, version, spec_hash, explanation)


def _vector(decision: Decision) -> tuple[float, ...]:
    stored = decision.vector or b""
    return struct.unpack(f"<{len(stored) // 8}d", stored[: len(stored) // 8 * 8])


def _logistic(margin: float) -> float:
    return 1 / (1 + math.exp(-margin)) if margin >= 0 else math.exp(margin) / (1 + math.exp(margin))
