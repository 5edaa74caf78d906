"""Decide whether, when and how a cardholder is asked; what it returns is applied together with what caused it.

One question stands on a phone at a time; the others wait, ordered by what is at stake. A YES needs the question's code
as soon as any other question may have reached that phone in the last 24 hours, so that a late or doubled YES can
never release another payment.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import (
    LIFE_MAX_MS,
    Challenge,
    ChallengeState,
    ChannelName,
    DefaultAction,
    challenge_id_of,
)
from cardwatch.domain.changes import AddChallenge, AddMessage, Change, MoveTransaction, PutChallenge, successor
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.times import DAY_MS, HOUR_MS
from cardwatch.domain.transaction import Status, Transaction, TransactionRecord
from cardwatch.ports import Accounts, Challenges, Messages, Transactions
from cardwatch.services.questions import question_message
from cardwatch.services.reach import NotReachable, Sender, Unreachable, reachable_steps

ASK_AGE_MAX_MS = DAY_MS
"""A payment that happened longer ago is never texted about."""

OPEN_MAX = 20
"""Questions that may wait for one phone: nobody answers more, and each reply looks at all of them."""

BARE_YES_QUIET_MS = 24 * HOUR_MS
"""A question is asked without a code only if no other went to that phone for this long."""

_CODES_APART = 60
"""A code does not come back within so many questions to a phone; of the 90 codes 30 stay to choose from."""

_EVER = 0


class Reads(Accounts, Challenges, Messages, Transactions, Protocol):
    """What is read to ask a question."""


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

    The sender's rules say by which channels and for how long; `ttl_ms` is the life of a question of which they do not
    say it, from the decision on. `token` is fresh randomness for its code and its links.
    """
    escalation = sender.rules.escalation_for(transaction, score)
    steps = reachable_steps(
        account, escalation.steps, transaction=transaction, store=store, sender=sender, now_ms=now_ms
    )
    if account is None or isinstance(steps, NotReachable):
        return steps if isinstance(steps, NotReachable) else NotReachable(Unreachable.NO_ACCOUNT)
    by_text = any(step.channel is ChannelName.SMS for step in steps)
    life_ms = ttl_ms if escalation.expires_after_s is None else escalation.expires_after_s * 1000
    queued = Challenge(
        challenge_id=challenge_id_of(transaction.transaction_id),
        transaction_id=transaction.transaction_id,
        user_id=account.user_id,
        phone=(account.phone_number or "") if by_text else "",
        channel=steps[0].channel.value,
        state=ChallengeState.QUEUED,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + life_ms,
        risk_minor=expected_loss_minor(score, transaction.amount.minor),
        steps=steps,
        default_action=escalation.default_action,
    )
    waiting = len(store.open_challenges(queued.phone) if by_text else store.open_challenges_of(account.user_id))
    if waiting >= OPEN_MAX:
        return NotReachable(Unreachable.TOO_MANY_QUESTIONS)
    if waiting and by_text:
        return ChallengePlan(queued, (AddChallenge(queued),))
    asked = _asked(queued, store=store, others=(), now_ms=now_ms, token=token)
    question = _question(asked, transaction=transaction, account=account, sender=sender, now_ms=now_ms, token=token)
    return ChallengePlan(asked, (AddChallenge(asked), *question))


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
    if not phone:
        return ()
    remaining = [c for c in store.open_challenges(phone) if c.challenge_id not in closing]
    if any(c.state is ChallengeState.ASKED for c in remaining):
        return ()
    changes: list[Change] = []
    for challenge in remaining:
        record = _payment_of(challenge, store)
        if challenge.expires_at_ms <= now_ms or record is None:
            continue
        account = None if challenge.user_id in unreachable else store.account(challenge.user_id)
        ready = _ready(challenge, record.transaction, account, store=store, sender=sender, now_ms=now_ms)
        if account is None or ready is None:
            changes += cancel(challenge, status=record.status)
            continue
        asked = _asked(ready, store=store, others=remaining, now_ms=now_ms, token=token)
        question = _question(
            asked, transaction=record.transaction, account=account, sender=sender, now_ms=now_ms, token=token
        )
        return (*changes, PutChallenge(successor(asked)), *question)
    return tuple(changes)


def _payment_of(challenge: Challenge, store: Transactions) -> TransactionRecord | None:
    """Return a challenge's payment; one that cannot be read must not keep the others from being asked about."""
    try:
        return store.transaction(challenge.transaction_id)
    except StoreCorrupt:
        return None


def _ready(
    challenge: Challenge,
    transaction: Transaction,
    account: Account | None,
    *,
    store: Reads,
    sender: Sender,
    now_ms: int,
) -> Challenge | None:
    """Return a waiting challenge with the channels that still reach its holder, None if it is not to be asked."""
    if now_ms - transaction.timestamp_ms > ASK_AGE_MAX_MS:
        return None
    if account is None or account.phone_number != challenge.phone:
        return None
    steps = reachable_steps(
        account, challenge.steps, transaction=transaction, store=store, sender=sender, now_ms=now_ms
    )
    if isinstance(steps, NotReachable):
        return None
    return msgspec.structs.replace(challenge, steps=steps, channel=steps[0].channel.value)


def _question(
    asked: Challenge, *, transaction: Transaction, account: Account, sender: Sender, now_ms: int, token: str
) -> tuple[Change, ...]:
    """Return the change that puts an asked challenge's first question into the outbox."""
    message = question_message(
        asked,
        kind=MessageKind.QUESTION,
        number=1,
        transaction=transaction,
        account=account,
        sender=sender,
        now_ms=now_ms,
        token=token,
    )
    return (AddMessage(message),)


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


def expire(challenge: Challenge, *, status: Status | None, answer: str | None = None, now_ms: int) -> list[Change]:
    """Return the changes that end a challenge nobody answered in time; its payment goes where its rules say."""
    to = Status.DECLINED if challenge.default_action is DefaultAction.DECLINE else Status.IN_REVIEW
    return close(
        challenge,
        ChallengeState.EXPIRED,
        status=status,
        cause="challenge_expired",
        to=to,
        answer=answer,
        now_ms=now_ms,
    )


def expected_loss_minor(score: float, amount_minor: int) -> int:
    """Return score x amount in minor units, computed in integers (the score to a millionth)."""
    return round(score * 1_000_000) * amount_minor // 1_000_000


def _asked(challenge: Challenge, *, store: Reads, others: Sequence[Challenge], now_ms: int, token: str) -> Challenge:
    """Return the challenge as asked now, with a code if a bare YES could be about another question."""
    earlier = store.recent_challenges(challenge.phone, asked_since_ms=_EVER) if challenge.phone else ()
    quiet_since_ms = now_ms - BARE_YES_QUIET_MS
    bare = not (
        _is_forgotten(challenge, store, now_ms)
        or any(other.challenge_id != challenge.challenge_id for other in others)
        or any(
            _texted_until_ms(other, store) >= quiet_since_ms
            for other in earlier
            if other.expires_at_ms >= quiet_since_ms
        )
        or any(other.user_id != challenge.user_id for other in earlier)
    )
    code = None if bare else _pick_code(challenge, earlier, token=token)
    asked = msgspec.structs.replace(challenge, state=ChallengeState.ASKED, asked_at_ms=now_ms, code=code)
    return scheduled(asked, step=0, now_ms=now_ms)


def _is_forgotten(challenge: Challenge, store: Challenges, now_ms: int) -> bool:
    """Say whether an erasure may have taken what was asked on the phone, whose late YES must not be about this."""
    erased_at_ms = store.last_erasure_ms()
    if not challenge.phone or erased_at_ms is None:
        return False
    # What was asked just before may reach the phone to the end of the longest life.
    return now_ms <= erased_at_ms + LIFE_MAX_MS + BARE_YES_QUIET_MS


def scheduled(challenge: Challenge, *, step: int, now_ms: int) -> Challenge:
    """Return a challenge as put on one of its channels now, with the time of what is to follow."""
    begun = msgspec.structs.replace(
        challenge, step=step, step_at_ms=now_ms, channel=challenge.steps[step].channel.value, reminded=False
    )
    return msgspec.structs.replace(begun, act_at_ms=act_at_ms(begun))


def act_at_ms(challenge: Challenge) -> int | None:
    """Return when a challenge's reminder or next channel is due (ms), None if neither is to come in its life."""
    step, since_ms = challenge.steps[challenge.step], challenge.step_at_ms or 0
    if step.remind_after_s is not None and not challenge.reminded:
        due_ms = since_ms + step.remind_after_s * 1000
    elif step.wait_s is not None and challenge.step + 1 < len(challenge.steps):
        due_ms = since_ms + step.wait_s * 1000
    else:
        return None
    return due_ms if due_ms < challenge.expires_at_ms else None


def _texted_until_ms(challenge: Challenge, store: Messages) -> int:
    """Return when a text about a challenge last went out, or the latest it may, where nobody said; 0 if none did.

    Whatever was texted about it may be what a late YES answers: question, reminder, or a prompt to answer again.
    """
    went = [m for m in store.messages_about(challenge.challenge_id) if _may_be_read(m)]
    return max((m.sent_at_ms or m.expires_at_ms or challenge.expires_at_ms for m in went), default=0)


def _may_be_read(message: Message) -> bool:
    by_text = message.direction is Direction.OUTBOUND and message.channel == ChannelName.SMS
    return by_text and message.state not in {MessageState.FAILED, MessageState.EXPIRED}


def _pick_code(challenge: Challenge, earlier: Sequence[Challenge], *, token: str) -> str:
    """Return two digits that none of the phone's latest questions carried."""
    used = {other.code for other in earlier[:_CODES_APART]}
    free = [str(code) for code in range(10, 100) if str(code) not in used]
    digest = hashlib.sha256(f"{token}:{challenge.challenge_id}".encode()).digest()
    return free[int.from_bytes(digest[:8], "big") % len(free)]
