"""What the page shows of a payment and of a phone, as the event stream carries them.

The page needs a little more than the API returns: the risk band, who decided, and every instant of the question.
"""

import msgspec

from cardwatch.domain.challenge import Challenge
from cardwatch.domain.decision import DecidedBy, Decision, Reason
from cardwatch.domain.times import format_instant
from cardwatch.domain.transaction import TransactionRecord


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """The question to the cardholder; instants are RFC 3339."""

    challenge_id: str
    state: str
    channel: str
    phone: str | None
    """Where it was asked, only if that phone is simulated."""
    code: str | None
    created_at: str
    asked_at: str | None
    sent_at: str | None
    expires_at: str
    answered_at: str | None
    answer: str | None
    prompts: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A payment with all that has become of it."""

    transaction_id: str
    sequence: int
    user_id: str
    status: str
    amount: str
    currency: str
    merchant: str
    location: str | None
    timestamp: str
    received_at: str
    decided_at: str | None
    decided_by: str | None
    detail: str | None
    score: float | None
    threshold: float | None
    risk: str | None
    """Band of the score: "low", "elevated", "high" or "critical"; None when no model scored."""
    model_version: str | None
    reasons: tuple[Reason, ...]
    question: Question | None
    label: str | None


class PhoneEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A simulated phone that the page offers."""

    phone: str
    user_id: str
    name: str | None
    open_questions: int


class Counts(msgspec.Struct, frozen=True):
    """What the header counts: decisions since the server started, and where the flagged payments stand now."""

    decided: int
    challenged: int
    in_review: int
    declined: int


def risk_band(score: float, threshold: float) -> str:
    """Name the band of a score: it is high from the threshold on, so that the word agrees with what was done."""
    if score < threshold / 2:
        return "low"
    if score < threshold:
        return "elevated"
    return "high" if score < (1 + threshold) / 2 else "critical"


def is_history(record: TransactionRecord) -> bool:
    """Say whether a payment was imported with its outcome, and so was never decided here."""
    return record.decision is not None and record.decision.decided_by is DecidedBy.IMPORT


def show_payment(record: TransactionRecord, *, phones: bool) -> Row:
    """Show a payment, with the number that it was asked on if `phones`."""
    transaction, decision = record.transaction, record.decision
    return Row(
        transaction_id=transaction.transaction_id,
        sequence=record.sequence,
        user_id=transaction.user_id,
        status=record.status.value,
        amount=transaction.amount.decimal,
        currency=transaction.amount.currency,
        merchant=transaction.merchant,
        location=transaction.location,
        timestamp=format_instant(transaction.timestamp_ms),
        received_at=format_instant(transaction.received_at_ms),
        decided_at=format_instant(decision.decided_at_ms) if decision else None,
        decided_by=decision.decided_by.value if decision else None,
        detail=decision.detail if decision else None,
        score=decision.score if decision else None,
        threshold=decision.threshold if decision else None,
        risk=_band(decision) if decision else None,
        model_version=decision.model_version if decision else None,
        reasons=decision.reasons if decision else (),
        question=_show_question(record.challenge, phones=phones) if record.challenge else None,
        label=f"{record.label.value.value} ({record.label.source.value})" if record.label else None,
    )


def _band(decision: Decision) -> str | None:
    if decision.score is None or decision.threshold is None:
        return None
    return risk_band(decision.score, decision.threshold)


def _show_question(challenge: Challenge, *, phones: bool) -> Question:
    return Question(
        challenge_id=challenge.challenge_id,
        state=challenge.state.value,
        channel=challenge.channel,
        phone=challenge.phone if phones else None,
        code=challenge.code if phones else None,
        created_at=format_instant(challenge.created_at_ms),
        asked_at=_instant(challenge.asked_at_ms),
        sent_at=_instant(challenge.sent_at_ms),
        expires_at=format_instant(challenge.expires_at_ms),
        answered_at=_instant(challenge.answered_at_ms),
        answer=challenge.answer,
        prompts=challenge.prompts,
    )


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_instant(at_ms)
