"""The outbox worker: claim what is due, hand it to the provider, record what came of it.

The three steps are apart so that a runtime can deliver in a thread while the store stays on its own. A crash between
them leaves a text claimed; once its lease has run out it is looked up at the provider before anything is sent again.
A channel gives back a claim that waited so long that the lease could run out while it is being sent.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import Change, PutMessage, successor
from cardwatch.domain.errors import Contended, OperatingError
from cardwatch.domain.message import TO_DO, Message, MessageKind, MessageState
from cardwatch.domain.times import HOUR_MS
from cardwatch.ports import Channel, NotSent, Randomness, Sent, Store, UnknownSent
from cardwatch.services.ask_cardholder import Sender
from cardwatch.services.track_delivery import not_delivered, question_sent

LEASE_MS = 60_000
"""How long a claim lasts; one send through Twilio takes 20 seconds at most."""

LOOK_UP_DELAY_MS = 15_000
"""Time for the provider to list what it may have taken, before it is asked."""

BACKOFF_BASE_MS = 1_000
BACKOFF_MAX_MS = 60_000
SENDS_MAX = 20

_LOOK_UP_GRACE_MS = HOUR_MS
_LIFE_WITHOUT_EXPIRY_MS = 72 * HOUR_MS
_ATTEMPTS = 5


class Claim(msgspec.Struct, frozen=True):
    """A text that this worker alone handles until the lease ends."""

    message: Message
    look_up: bool
    """Whether it may have gone out already: ask the provider, do not send."""


class NotFound(msgspec.Struct, frozen=True):
    """The provider has no record of the text."""


class LookUpFailed(msgspec.Struct, frozen=True):
    """The provider could not say whether it has the text."""

    error: str


Delivery: TypeAlias = Sent | NotSent | UnknownSent | NotFound | LookUpFailed


class Recorded(StrEnum):
    """What became of a text."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    """Provably not taken; it is sent again after a while."""
    UNKNOWN = "unknown"
    FAILED = "failed"
    STALE = "stale"
    """Somebody else had recorded what became of it."""


def claim_messages(*, store: Store, now_ms: int, limit: int, lease_ms: int = LEASE_MS) -> list[Claim]:
    """Claim up to `limit` due texts; those that are not to be sent any more are put away on the way."""
    claims = []
    for message in store.due_messages(now_ms=now_ms, limit=limit):
        look_up = message.state is not MessageState.QUEUED
        unwanted = None if look_up else _why_unwanted(message, store=store, now_ms=now_ms)
        if unwanted is not None:
            store.apply([PutMessage(successor(message, state=MessageState.EXPIRED, error=unwanted))])
            continue
        claimed = successor(
            message,
            state=MessageState.UNKNOWN if look_up else MessageState.SENDING,
            due_at_ms=now_ms + lease_ms,
            attempts=message.attempts + (0 if look_up else 1),
        )
        if store.apply([PutMessage(claimed)]) is None:
            claims.append(Claim(claimed, look_up))
    return claims


def deliver(claim: Claim, *, channel: Channel) -> Delivery:
    """Hand a claimed text to the provider, or look it up there; touches no store."""
    try:
        if not claim.look_up:
            return channel.send(claim.message)
        return channel.find(claim.message) or NotFound()
    except OperatingError as error:
        return LookUpFailed(str(error)) if claim.look_up else UnknownSent(str(error))


def record_delivery(
    claim: Claim, delivery: Delivery, *, store: Store, sender: Sender, now_ms: int, token: str
) -> Recorded:
    """Record what became of a claimed text, with all that follows from it, in one write."""
    for _ in range(_ATTEMPTS):
        current = store.message(claim.message.message_id)
        if current is None or current.state not in TO_DO:
            return Recorded.STALE
        if not isinstance(delivery, Sent) and current.version != claim.message.version:
            return Recorded.STALE
        recorded, changes = _outcome(current, delivery, store=store, sender=sender, now_ms=now_ms, token=token)
        if store.apply(changes) is None:
            return recorded
    raise Contended("the text kept changing while its delivery was recorded")


def send_due(
    *, store: Store, channel: Channel, sender: Sender, randomness: Randomness, now_ms: int, limit: int = 20
) -> Sequence[Recorded]:
    """Claim, deliver and record what is due, one after the other."""
    return [
        record_delivery(
            claim,
            deliver(claim, channel=channel),
            store=store,
            sender=sender,
            now_ms=now_ms,
            token=randomness.token(8),
        )
        for claim in claim_messages(store=store, now_ms=now_ms, limit=limit)
    ]


def backoff_ms(attempts: int, *, token: str) -> int:
    """Return how long to wait after so many sends: full jitter, doubling to a limit (Brooker, AWS, 2015)."""
    ceiling_ms = min(BACKOFF_MAX_MS, BACKOFF_BASE_MS << min(attempts, 16))
    return int(token[:8] or "0", 16) * ceiling_ms >> 32


def _why_unwanted(message: Message, *, store: Store, now_ms: int) -> str | None:
    """Return why a text that never went out is not to be sent any more, None if it is."""
    if _life_ends_at_ms(message) <= now_ms:
        return "life ended"
    challenge = store.challenge(message.challenge_id or "")
    if challenge is None:
        return None
    if message.kind is MessageKind.QUESTION and challenge.state is not ChallengeState.ASKED:
        return "question closed"
    account = store.account(challenge.user_id)
    return "opted out" if account is None or account.opted_out_at_ms is not None else None


def _outcome(
    message: Message, delivery: Delivery, *, store: Store, sender: Sender, now_ms: int, token: str
) -> tuple[Recorded, list[Change]]:
    match delivery:
        case Sent(provider_sid=sid):
            accepted = successor(message, state=MessageState.ACCEPTED, provider_sid=sid, sent_at_ms=now_ms, error=None)
            return Recorded.ACCEPTED, [PutMessage(accepted), *question_sent(message, store=store, now_ms=now_ms)]
        case NotSent(error=error, retryable=True) if message.attempts < SENDS_MAX:
            due_at_ms = now_ms + backoff_ms(message.attempts, token=token)
            return Recorded.RETRY, [
                PutMessage(successor(message, state=MessageState.QUEUED, due_at_ms=due_at_ms, error=error))
            ]
        case NotSent(error=error, opted_out=opted_out):
            failed = successor(message, state=MessageState.FAILED, error=error)
            consequences = not_delivered(
                message, store=store, sender=sender, now_ms=now_ms, token=token, opted_out=opted_out
            )
            return Recorded.FAILED, [PutMessage(failed), *consequences]
        case NotFound():
            return Recorded.RETRY, [PutMessage(successor(message, state=MessageState.QUEUED, due_at_ms=now_ms))]
        case UnknownSent(error=error) | LookUpFailed(error=error):
            if now_ms >= _life_ends_at_ms(message) + _LOOK_UP_GRACE_MS:
                return Recorded.FAILED, [PutMessage(successor(message, state=MessageState.FAILED, error=error))]
            due_at_ms = now_ms + LOOK_UP_DELAY_MS
            return Recorded.UNKNOWN, [
                PutMessage(successor(message, state=MessageState.UNKNOWN, due_at_ms=due_at_ms, error=error))
            ]


def _life_ends_at_ms(message: Message) -> int:
    return message.created_at_ms + _LIFE_WITHOUT_EXPIRY_MS if message.expires_at_ms is None else message.expires_at_ms
