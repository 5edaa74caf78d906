"""What the API shows of payments and accounts; one shape for every home. Money is printed as decimal strings."""

from collections.abc import Callable
from typing import Literal

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.decision import Direction, Reason
from cardwatch.domain.label import Label
from cardwatch.domain.times import format_instant
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.services.explain_transaction import Explained

_ACTION = {
    Status.PENDING: "await_decision",
    Status.CHALLENGED: "await_cardholder",
    Status.IN_REVIEW: "analyst_review",
}


class ReasonView(msgspec.Struct, frozen=True):
    """One cause of a decision; `contribution` is in log-odds, `direction` null where it is 0."""

    code: str
    feature: str | None
    value: str | None
    usual: str | None
    direction: Literal["towards_fraud", "against_fraud"] | None
    contribution: float
    text: str


class ChallengeView(msgspec.Struct, frozen=True):
    """The question to the cardholder; instants are RFC 3339. `state` is "sending" until the provider has the text."""

    state: str
    channel: str
    sent_at: str | None
    expires_at: str
    answered_at: str | None
    answer: str | None


class LabelView(msgspec.Struct, frozen=True):
    """What the payment turned out to be, and from when on that was known."""

    value: str
    source: str
    available_at: str


class TransactionView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the API returns it."""

    transaction_id: str
    user_id: str
    status: str
    amount: str
    currency: str
    merchant: str
    location: str | None
    timestamp: str
    received_at: str
    fraud_score: float | None
    threshold: float | None
    model_version: str | None
    decision: str | None
    reasons: list[ReasonView]
    challenge: ChallengeView | None
    label: LabelView | None
    action_required: str | None


class ReasonsView(msgspec.Struct, frozen=True, kw_only=True):
    """How a model came to a payment's score: `base` and all contributions add up to `margin`, all in log-odds.

    The logistic function of `margin` is the stored score. Reasons are strongest first, one for each feature.
    """

    transaction_id: str
    model_version: str
    spec_hash: str
    base: float
    margin: float
    reasons: list[ReasonView]


class TransactionPageView(msgspec.Struct, frozen=True):
    """Payments newest first; pass `next_cursor` as `cursor` for those that follow, null at the end."""

    transactions: list[TransactionView]
    next_cursor: str | None


class HomeView(msgspec.Struct, frozen=True):
    """Where the holder lives, as sent, with the coordinates it resolved to (degrees)."""

    location: str | None
    latitude: float | None
    longitude: float | None


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account as the API returns it."""

    user_id: str
    name: str | None
    phone_number: str | None
    email: str | None
    language: str
    time_zone: str
    currency: str
    home: HomeView | None
    push: Literal["fcm", "web"] | None
    channels: list[str]
    consent: bool
    held_since: str | None
    opted_out_at: str | None


class AccountPageView(msgspec.Struct, frozen=True):
    """Accounts in order of their ids; pass `next_cursor` as `cursor` for those that follow, null at the end."""

    accounts: list[AccountView]
    next_cursor: str | None


def view_transaction(record: TransactionRecord) -> TransactionView:
    """Show a payment."""
    transaction, decision = record.transaction, record.decision
    return TransactionView(
        transaction_id=transaction.transaction_id,
        user_id=transaction.user_id,
        status=record.status.value,
        amount=transaction.amount.decimal,
        currency=transaction.amount.currency,
        merchant=transaction.merchant,
        location=transaction.location,
        timestamp=format_instant(transaction.timestamp_ms),
        received_at=format_instant(transaction.received_at_ms),
        fraud_score=decision.score if decision else None,
        threshold=decision.threshold if decision else None,
        model_version=decision.model_version if decision else None,
        decision=decision.outcome.value if decision else None,
        reasons=[_view_reason(reason) for reason in decision.reasons] if decision else [],
        challenge=_view_challenge(record.challenge) if record.challenge else None,
        label=_view_label(record.label) if record.label else None,
        action_required=_ACTION.get(record.status),
    )


def view_reasons(explained: Explained) -> ReasonsView:
    """Show the whole explanation of a payment's score."""
    explanation = explained.explanation
    return ReasonsView(
        transaction_id=explained.transaction_id,
        model_version=explained.model_version,
        spec_hash=explained.spec_hash,
        base=explanation.base,
        margin=explanation.margin,
        reasons=[_view_reason(reason) for reason in explanation.reasons],
    )


def view_account(account: Account, opted_out_since: Callable[[str], int | None]) -> AccountView:
    """Show an account, and since when its number has opted out (by a look-up); a push target by its kind alone."""
    home, place = account.home, account.home.place
    return AccountView(
        user_id=account.user_id,
        name=account.name,
        phone_number=account.phone_number,
        email=account.email,
        language=account.language,
        time_zone=account.time_zone,
        currency=account.currency,
        home=HomeView(home.location, place.latitude if place else None, place.longitude if place else None)
        if home.location or place
        else None,
        push=_push_kind(account),
        channels=list(account.channels),
        consent=account.consent,
        held_since=_instant(account.held_since_ms),
        opted_out_at=_instant(opted_out_since(account.phone_number) if account.phone_number else None),
    )


def _push_kind(account: Account) -> Literal["fcm", "web"] | None:
    if account.push is None:
        return None
    return "fcm" if account.push.fcm_token else "web"


def _view_reason(reason: Reason) -> ReasonView:
    way = reason.direction
    direction: Literal["towards_fraud", "against_fraud"] | None = None
    if way is not None:
        direction = "towards_fraud" if way is Direction.TOWARDS_FRAUD else "against_fraud"
    return ReasonView(
        reason.code, reason.feature, reason.value, reason.usual, direction, reason.contribution, reason.text
    )


def _view_challenge(challenge: Challenge) -> ChallengeView:
    on_its_way = challenge.state is ChallengeState.ASKED and challenge.sent_at_ms is None
    return ChallengeView(
        "sending" if on_its_way else challenge.state.value,
        challenge.channel,
        _instant(challenge.sent_at_ms),
        format_instant(challenge.expires_at_ms),
        _instant(challenge.answered_at_ms),
        challenge.answer,
    )


def _view_label(label: Label) -> LabelView:
    return LabelView(label.value.value, label.source.value, format_instant(label.available_at_ms))


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_instant(at_ms)
