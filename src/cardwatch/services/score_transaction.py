"""Decide a recorded payment: features from state, the model's score, the policy, and what follows from it.

The whole effect is one list of changes: the decision, the new feature state, the challenge and its first text.
It holds only while the payment is pending, so that a second delivery changes nothing.
"""

import struct
from collections.abc import Sequence

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.changes import Change, DecideTransaction
from cardwatch.domain.decision import DecidedBy, Decision, Outcome, Reason
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.policy import Policy, Verdict
from cardwatch.domain.transaction import Status, Transaction, TransactionRecord
from cardwatch.features.engine import FeatureEngine
from cardwatch.ports import Randomness, Scorer, Store
from cardwatch.services.ask_cardholder import ASK_AGE_MAX_MS, plan_challenge
from cardwatch.services.feature_state import read_features
from cardwatch.services.reach import NotReachable, Sender, Unreachable

_SCORING_ATTEMPTS = 3

STATUS_OF: dict[Outcome, Status] = {
    Outcome.APPROVE: Status.APPROVED,
    Outcome.CHALLENGE: Status.CHALLENGED,
    Outcome.REVIEW: Status.IN_REVIEW,
    Outcome.DECLINE: Status.DECLINED,
}

TOO_OLD_TO_ASK = "too_old_to_ask"

_NOT_ASKED: dict[str, str] = {
    Unreachable.NO_ACCOUNT: "Nobody was asked: there is no account",
    Unreachable.ACCOUNT_HELD: "Nobody was asked: the account is on hold after a NO",
    Unreachable.OPTED_OUT: "Nobody was asked: the holder opted out of texts",
    Unreachable.NO_PHONE: "Nobody was asked: the account has no telephone number",
    Unreachable.NO_EMAIL: "Nobody was asked: the account has no e-mail address",
    Unreachable.NO_DEVICE: "Nobody was asked: the account has no device for notifications",
    Unreachable.NO_CHANNEL: "Nobody was asked: the account takes no messages on the channels there are",
    Unreachable.NO_CONSENT: "Nobody was asked: the holder has not agreed to security texts",
    Unreachable.NUMBER_CHANGED: "Nobody was asked: the account's telephone number changed too recently",
    Unreachable.AMOUNT_TOO_LARGE_FOR_TEXT: "Nobody was asked: the amount is above the limit for texts",
    Unreachable.TOO_MANY_QUESTIONS: "Nobody was asked: too many questions wait for that phone already",
    TOO_OLD_TO_ASK: "Nobody was asked: the payment happened more than a day ago",
}

SCORING_UNAVAILABLE = Reason(
    code="SCORING_UNAVAILABLE",
    feature=None,
    value=None,
    usual=None,
    contribution=0.0,
    text="The model could not score this payment",
)


class Judges(msgspec.Struct, frozen=True):
    """What decides: the feature definition, the model, the policy, and the threshold in force (0..1)."""

    engine: FeatureEngine
    scorer: Scorer
    policy: Policy
    threshold: float


class Asking(msgspec.Struct, frozen=True):
    """How cardholders are asked: in whose name, for how long (ms, from the decision on), and where codes come from."""

    sender: Sender
    ttl_ms: int
    randomness: Randomness


class Decided(msgspec.Struct, frozen=True):
    """The payment as it stands once `changes` are applied."""

    record: TransactionRecord
    changes: tuple[Change, ...]


def score_transaction(
    record: TransactionRecord, *, store: Store, judges: Judges, asking: Asking, now_ms: int
) -> Decided:
    """Decide a pending payment; a scorer that stays down ends in review, never in pending."""
    transaction = record.transaction
    account = store.account(transaction.user_id)
    reading = read_features(transaction, account, store=store, engine=judges.engine)
    score = _score(judges.scorer, reading.vector)
    verdict = _judge(judges, transaction, score)
    decision = Decision(
        outcome=verdict.outcome,
        decided_by=verdict.decided_by,
        decided_at_ms=now_ms,
        score=score,
        threshold=judges.threshold,
        model_version=judges.scorer.model_version if score is not None else None,
        reasons=_reasons(judges.scorer, reading.vector, verdict, score, transaction),
        detail=verdict.detail,
        spec_hash=judges.engine.spec_hash,
        state_versions=reading.versions,
        vector=struct.pack(f"<{len(reading.vector)}d", *reading.vector),
    )
    return _conclude(record, account, decision, reading.updates, store=store, asking=asking, now_ms=now_ms)


def give_to_review(record: TransactionRecord, *, cause: str, now_ms: int) -> Decided:
    """Decide a payment that cannot be scored at all: to review, with the state of its entities left as it is."""
    decision = Decision(
        outcome=Outcome.REVIEW,
        decided_by=DecidedBy.FALLBACK,
        decided_at_ms=now_ms,
        reasons=(SCORING_UNAVAILABLE,),
        detail=cause,
    )
    return _decided(record, decision, [])


def _score(scorer: Scorer, vector: Sequence[float]) -> float | None:
    for _ in range(_SCORING_ATTEMPTS):
        try:
            score = scorer.score(vector)
        except OperatingError:
            continue
        if 0 <= score <= 1:  # what is no probability (NaN) must not pass for a low one
            return score
    return None


def _judge(judges: Judges, transaction: Transaction, score: float | None) -> Verdict:
    if score is not None:
        return judges.policy.judge(transaction, score=score, threshold=judges.threshold)
    listed = judges.policy.judge_without_score(transaction)
    return listed or Verdict(Outcome.REVIEW, DecidedBy.FALLBACK, "the model could not score")


def _reasons(
    scorer: Scorer, vector: Sequence[float], verdict: Verdict, score: float | None, transaction: Transaction
) -> tuple[Reason, ...]:
    if verdict.outcome is Outcome.APPROVE:
        return ()
    given = (SCORING_UNAVAILABLE,) if score is None else _model_reasons(scorer, vector, transaction)
    if verdict.decided_by in (DecidedBy.THRESHOLD, DecidedBy.FALLBACK):
        return given
    code = verdict.decided_by.value.upper()
    text = f"Decided by rule {verdict.detail}" if verdict.decided_by is DecidedBy.RULE else f"The {verdict.detail}"
    return (Reason(code=code, feature=None, value=None, usual=None, contribution=0.0, text=text), *given)


def _model_reasons(scorer: Scorer, vector: Sequence[float], transaction: Transaction) -> tuple[Reason, ...]:
    """Return the model's reasons, none where it cannot say: a decision does not wait for its explanation."""
    try:
        return scorer.reasons(vector, currency=transaction.amount.currency)
    except OperatingError:
        return ()


def _conclude(
    record: TransactionRecord,
    account: Account | None,
    decision: Decision,
    updates: Sequence[Change],
    *,
    store: Store,
    asking: Asking,
    now_ms: int,
) -> Decided:
    if decision.outcome is not Outcome.CHALLENGE:
        return _decided(record, decision, updates)
    transaction = record.transaction
    if now_ms - transaction.timestamp_ms > ASK_AGE_MAX_MS:
        return _decided(record, _to_review(decision, TOO_OLD_TO_ASK), updates)
    plan = plan_challenge(
        store=store,
        account=account,
        transaction=transaction,
        score=decision.score if decision.score is not None else 1.0,
        now_ms=now_ms,
        ttl_ms=asking.ttl_ms,
        sender=asking.sender,
        token=asking.randomness.token(8),
    )
    if isinstance(plan, NotReachable):
        return _decided(record, _to_review(decision, plan.reason.value), updates)
    decided = _decided(record, decision, updates)
    return Decided(msgspec.structs.replace(decided.record, challenge=plan.challenge), (*decided.changes, *plan.changes))


def _to_review(decision: Decision, why: str) -> Decision:
    """Send what would be asked about to an analyst, and say first why nobody was asked."""
    reason = Reason(code=why.upper(), feature=None, value=None, usual=None, contribution=0.0, text=_NOT_ASKED[why])
    return msgspec.structs.replace(decision, outcome=Outcome.REVIEW, detail=why, reasons=(reason, *decision.reasons))


def _decided(record: TransactionRecord, decision: Decision, updates: Sequence[Change]) -> Decided:
    status = STATUS_OF[decision.outcome]
    return Decided(
        msgspec.structs.replace(record, status=status, decision=decision),
        (DecideTransaction(record.transaction.transaction_id, decision, status), *updates),
    )
