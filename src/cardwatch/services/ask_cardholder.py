"""Decide whether, when and how a cardholder is asked; what it returns is applied together with what caused it.

One question stands on a phone at a time; the others wait, ordered by what is at stake. A YES needs the question's code
as soon as any other question may have reached that phone in the last 24 hours, so that a late or doubled YES can
never release another payment.
"""

import hashlib
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.changes import AddChallenge, AddMessage, Change, MoveTransaction, PutChallenge, successor
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.question import Subject, TextKind, render
from cardwatch.domain.times import DAY_MS, HOUR_MS
from cardwatch.domain.transaction import Status, Transaction
from cardwatch.ports import Accounts, Challenges, Transactions

ASK_AGE_MAX_MS = DAY_MS
"""A payment that happened longer ago is never texted about."""

OPEN_MAX = 20
"""Questions that may wait for one phone: nobody answers more, and each reply looks at all of them."""

BARE_YES_QUIET_MS = 24 * HOUR_MS
"""A question is asked without a code only if no other went to that phone for this long."""

_CODES_APART = 60
"""A code does not come back within so many questions to a phone; of the 90 codes 30 stay to choose from."""

_EVER = 0


class Reads(Accounts, Challenges, Transactions, Protocol):
    """What is read to ask a question."""


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Our end of the conversation."""

    institution: str
    """In whose name the texts speak."""
    own_number: str
    """Our number or sender id."""
    channel: str = "sms"


class Unreachable(StrEnum):
    """Why nobody can be asked."""

    NO_ACCOUNT = "no_account"
    ACCOUNT_HELD = "account_held"
    OPTED_OUT = "opted_out"
    NO_PHONE = "no_phone"
    NO_CHANNEL = "no_channel"
    NO_CONSENT = "no_consent"
    TOO_MANY_QUESTIONS = "too_many_questions"


class NotReachable(msgspec.Struct, frozen=True):
    """The holder cannot be asked."""

    reason: Unreachable


class ChallengePlan(msgspec.Struct, frozen=True):
    """A challenge and the changes that create it, to be applied together with the decision."""

    challenge: Challenge
    changes: tuple[Change, ...]


def plan_challenge(
    *,
    store: Reads,
    account: Account | None,
    transaction: Transaction,
    score: float,
    now_ms: int,
    ttl_ms: int,
    sender: Sender,
    token: str,
) -> ChallengePlan | NotReachable:
    """Plan the question about a payment: asked at once, or queued behind the one that stands on that phone.

    `ttl_ms` is the challenge's whole life, from the decision on; `token` is fresh randomness for its code.
    """
    reason = why_unreachable(account)
    if account is None or account.phone_number is None or reason is not None:
        return NotReachable(reason or Unreachable.NO_PHONE)
    queued = Challenge(
        challenge_id=f"{transaction.transaction_id}:challenge",
        transaction_id=transaction.transaction_id,
        user_id=account.user_id,
        phone=account.phone_number,
        channel=sender.channel,
        state=ChallengeState.QUEUED,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + ttl_ms,
        risk_minor=expected_loss_minor(score, transaction.amount.minor),
    )
    waiting = len(store.open_challenges(account.phone_number))
    if waiting >= OPEN_MAX:
        return NotReachable(Unreachable.TOO_MANY_QUESTIONS)
    if waiting:
        return ChallengePlan(queued, (AddChallenge(queued),))
    asked = _asked(queued, store=store, others=(), now_ms=now_ms, token=token)
    text = question_message(asked, transaction=transaction, account=account, sender=sender, now_ms=now_ms)
    return ChallengePlan(asked, (AddChallenge(asked), AddMessage(text)))


def why_unreachable(account: Account | None) -> Unreachable | None:
    """Return why an account cannot be asked by SMS now, None if it can."""
    if account is None:
        return Unreachable.NO_ACCOUNT
    if account.held_since_ms is not None:
        return Unreachable.ACCOUNT_HELD
    if account.opted_out_at_ms is not None:
        return Unreachable.OPTED_OUT
    if account.phone_number is None:
        return Unreachable.NO_PHONE
    if "sms" not in account.channels:
        return Unreachable.NO_CHANNEL
    return None if account.consent else Unreachable.NO_CONSENT


def ask_next(
    *,
    store: Reads,
    phone: str,
    closing: Collection[str],
    unreachable: Collection[str] = (),
    sender: Sender,
    now_ms: int,
    token: str,
) -> tuple[Change, ...]:
    """Return the changes that ask the next question of a phone, once those of `closing` (challenge ids) are closed.

    The one with the most at stake that still has life is asked. Those met on the way whose holder cannot be asked any
    more, by the store or because the same changes make it so (`unreachable`, user ids), and those about payments that
    happened too long ago by now, are cancelled.
    """
    remaining = [c for c in store.open_challenges(phone) if c.challenge_id not in closing]
    if any(c.state is ChallengeState.ASKED for c in remaining):
        return ()
    changes: list[Change] = []
    for challenge in remaining:
        record = store.transaction(challenge.transaction_id)
        if challenge.expires_at_ms <= now_ms or record is None:
            continue
        account = None if challenge.user_id in unreachable else store.account(challenge.user_id)
        too_old = now_ms - record.transaction.timestamp_ms > ASK_AGE_MAX_MS
        if account is None or why_unreachable(account) is not None or account.phone_number != phone or too_old:
            changes += cancel(challenge, status=record.status)
            continue
        asked = _asked(challenge, store=store, others=remaining, now_ms=now_ms, token=token)
        text = question_message(asked, transaction=record.transaction, account=account, sender=sender, now_ms=now_ms)
        return (*changes, PutChallenge(successor(asked)), AddMessage(text))
    return tuple(changes)


def cancel(challenge: Challenge, *, status: Status | None) -> list[Change]:
    """Return the changes that take a question back and send its payment to review."""
    return close(challenge, ChallengeState.CANCELLED, status=status, cause="challenge_cancelled")


def close(
    challenge: Challenge,
    state: ChallengeState,
    *,
    status: Status | None,
    cause: str,
    to: Status = Status.IN_REVIEW,
    answer: str | None = None,
    now_ms: int | None = None,
) -> list[Change]:
    """Return the changes that end a challenge and move its payment, if that still stands at challenged (`status`)."""
    closed = successor(
        challenge,
        state=state,
        answer=answer or challenge.answer,
        answered_at_ms=now_ms if answer else challenge.answered_at_ms,
    )
    changes: list[Change] = [PutChallenge(closed)]
    if status is Status.CHALLENGED:
        changes.append(MoveTransaction(challenge.transaction_id, Status.CHALLENGED, to, cause))
    return changes


def question_id(challenge: Challenge) -> str:
    """Return the id of a challenge's question: the idempotency key of asking it."""
    return f"{challenge.challenge_id}:{challenge.channel}:question:1"


def question_message(
    challenge: Challenge, *, transaction: Transaction, account: Account, sender: Sender, now_ms: int
) -> Message:
    """Return the question as a row of the outbox; it is not delivered after the challenge's life."""
    return Message(
        message_id=question_id(challenge),
        direction=Direction.OUTBOUND,
        kind=MessageKind.QUESTION,
        state=MessageState.QUEUED,
        channel=challenge.channel,
        phone=challenge.phone,
        own_number=sender.own_number,
        body=render(
            TextKind.QUESTION, subject_of(challenge, transaction, sender=sender), language_code=account.language
        ),
        created_at_ms=now_ms,
        due_at_ms=now_ms,
        expires_at_ms=challenge.expires_at_ms,
        challenge_id=challenge.challenge_id,
        transaction_id=challenge.transaction_id,
    )


def subject_of(challenge: Challenge, transaction: Transaction, *, sender: Sender) -> Subject:
    """Return what the texts of a challenge are about."""
    return Subject(
        institution=sender.institution,
        amount=transaction.amount,
        merchant=transaction.merchant,
        card=transaction.card,
        code=challenge.code,
    )


def expected_loss_minor(score: float, amount_minor: int) -> int:
    """Return score x amount in minor units, computed in integers (the score to a millionth)."""
    return round(score * 1_000_000) * amount_minor // 1_000_000


def _asked(
    challenge: Challenge, *, store: Challenges, others: Sequence[Challenge], now_ms: int, token: str
) -> Challenge:
    """Return the challenge as asked now, with a code if a bare YES could be about another question."""
    earlier = store.recent_challenges(challenge.phone, asked_since_ms=_EVER)
    bare = not (
        any(other.challenge_id != challenge.challenge_id for other in others)
        or any(_reached_phone_until_ms(other) >= now_ms - BARE_YES_QUIET_MS for other in earlier)
        or any(other.user_id != challenge.user_id for other in earlier)
    )
    code = None if bare else _pick_code(challenge, earlier, token=token)
    return msgspec.structs.replace(challenge, state=ChallengeState.ASKED, asked_at_ms=now_ms, code=code)


def _reached_phone_until_ms(challenge: Challenge) -> int:
    """Return when its question reached the phone, or the latest it may have, where the provider never said."""
    return challenge.expires_at_ms if challenge.sent_at_ms is None else challenge.sent_at_ms


def _pick_code(challenge: Challenge, earlier: Sequence[Challenge], *, token: str) -> str:
    """Return two digits that none of the phone's latest questions carried."""
    used = {other.code for other in earlier[:_CODES_APART]}
    free = [str(code) for code in range(10, 100) if str(code) not in used]
    digest = hashlib.sha256(f"{token}:{challenge.challenge_id}".encode()).digest()
    return free[int.from_bytes(digest[:8], "big") % len(free)]
