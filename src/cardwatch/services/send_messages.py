"""Work off the outbox: claim what is due, hand it to the provider, record what came of it.

The three steps are apart so that a runtime can deliver in a thread while the store stays on its own. A crash between
them leaves a message claimed; once its lease has run out, its channel says what is done about it: it is looked up at
the provider, sent again to a receiver that knows it by its id, or left. A channel gives back a claim that waited so
long that it could not be sent, and listed by its provider, before the lease runs out and it is looked up.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from cardwatch.domain.challenge import ChallengeState, ChannelName
from cardwatch.domain.changes import AddDeadLetter, Change, PutMessage, SetAsideMessage, successor
from cardwatch.domain.errors import Contended, OperatingError, StoreCorrupt
from cardwatch.domain.message import TO_DO, Message, MessageKind, MessageState
from cardwatch.domain.times import HOUR_MS
from cardwatch.ports import Channel, NotSent, OnUnknown, Randomness, Sent, Store, UnknownSent
from cardwatch.services.alerts import provider_alarm
from cardwatch.services.questions import ASKING
from cardwatch.services.reach import Sender, address_of
from cardwatch.services.track_delivery import Failure, not_delivered, question_sent

LEASE_MS = 60_000
"""How long a claim lasts; one send through Twilio takes 20 seconds at most."""

LOOK_UP_DELAY_MS = 15_000
"""Time for the provider to list what it may have taken, before it is asked."""

BACKOFF_BASE_MS = 1_000
BACKOFF_MAX_MS = 60_000
SENDS_MAX = 20
"""Sends of a message to a cardholder or an analyst; a callback is tried to the end of its life."""

CALLBACK_BACKOFF_MAX_MS = HOUR_MS

DEAD_LETTER_CONSUMER = "outbox"

OPTED_OUT = "opted out"

_LOOK_UP_GRACE_MS = HOUR_MS
_ATTEMPTS = 5


class Claim(msgspec.Struct, frozen=True):
    """A text that this worker alone handles until the lease ends."""

    message: Message
    look_up: bool
    """Whether it may have gone out already: ask the provider, do not send."""
    on_unknown: OnUnknown = OnUnknown.LOOK_UP
    """What its channel does where nobody knows whether the provider has it."""
    refusal: str | None = None
    """Why it may not go out any more, though it is wanted: the question goes another way."""


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


def claim_messages(*, store: Store, channel: Channel, now_ms: int, limit: int, lease_ms: int = LEASE_MS) -> list[Claim]:
    """Claim up to `limit` due messages of a channel; what is not to be sent any more is put away on the way.

    One that cannot be read, or whose challenge or account cannot, is set aside with a dead letter.
    """
    claims = []
    for message_id in store.due_message_ids(channel=channel.name, now_ms=now_ms, limit=limit):
        try:
            claim = _claim(message_id, channel.on_unknown, store=store, now_ms=now_ms, lease_ms=lease_ms)
        except StoreCorrupt as error:
            store.apply([SetAsideMessage(message_id), _dead_letter(message_id, message_id, str(error), now_ms)])
            continue
        if claim is not None:
            claims.append(claim)
    return claims


def deliver(claim: Claim, *, channel: Channel) -> Delivery:
    """Hand a claimed text to the provider, or look it up there; touches no store."""
    try:
        if claim.refusal is not None:
            return NotSent(claim.refusal, retryable=False, opted_out=claim.refusal == OPTED_OUT)
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
        recorded, changes = _outcome(claim, current, delivery, store=store, sender=sender, now_ms=now_ms, token=token)
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
        for claim in claim_messages(store=store, channel=channel, now_ms=now_ms, limit=limit)
    ]


def backoff_ms(attempts: int, *, token: str, ceiling_ms: int = BACKOFF_MAX_MS) -> int:
    """Return how long to wait after so many sends: full jitter, doubling to a limit (Brooker, AWS, 2015)."""
    highest_ms = min(ceiling_ms, BACKOFF_BASE_MS << min(attempts, 16))
    return int(token[:8] or "0", 16) * highest_ms >> 32


def _claim(message_id: str, on_unknown: OnUnknown, *, store: Store, now_ms: int, lease_ms: int) -> Claim | None:
    message = store.message(message_id)
    if message is None or message.state not in TO_DO or message.due_at_ms > now_ms:
        return None  # another worker was faster
    claim = _claimed(message, on_unknown, store=store, now_ms=now_ms, lease_ms=lease_ms)
    if not isinstance(claim, Claim):
        store.apply(claim)
        return None
    return _told(claim) if store.apply([PutMessage(claim.message)]) is None else None


def _claimed(
    message: Message, on_unknown: OnUnknown, *, store: Store, now_ms: int, lease_ms: int
) -> Claim | list[Change]:
    """Return the claim on a due message, or the changes that put it away."""
    fresh, refusal = message.state is MessageState.QUEUED, None
    if fresh or on_unknown is OnUnknown.RESEND:
        refusal = _why_refused(message, store)
        unwanted = _why_unwanted(message, store=store, now_ms=now_ms)
        if unwanted is not None:
            return _put_away(message, MessageState.EXPIRED, unwanted, now_ms)
    elif on_unknown is OnUnknown.LEAVE:
        return _leave(message, message.error or "nobody knows whether it was taken", now_ms)
    look_up = not fresh and on_unknown is OnUnknown.LOOK_UP
    claimed = successor(
        message,
        state=MessageState.UNKNOWN if look_up else MessageState.SENDING,
        due_at_ms=now_ms + lease_ms,
        attempts=message.attempts + (0 if look_up else 1),
    )
    return Claim(claimed, look_up, on_unknown, refusal)


def _told(claim: Claim) -> Claim:
    """Return a claim as its channel gets it: it has to be over so early that a look-up after the lease finds it."""
    ends_at_ms = claim.message.due_at_ms - LOOK_UP_DELAY_MS
    return msgspec.structs.replace(claim, message=msgspec.structs.replace(claim.message, due_at_ms=ends_at_ms))


def _why_unwanted(message: Message, *, store: Store, now_ms: int) -> str | None:
    """Return why a message that is still to be sent is not wanted any more, None if it is."""
    if message.life_ends_at_ms <= now_ms:
        return "life ended"
    challenge = store.challenge(message.challenge_id or "")
    if challenge is None:
        return "question closed" if message.kind in ASKING else None
    if message.kind in ASKING and challenge.state is not ChallengeState.ASKED:
        return "question closed"
    if store.account(challenge.user_id) is None:
        return "account erased"
    # A question that may not go out goes another way; whatever else may not is not missed.
    return None if message.kind is MessageKind.QUESTION else _why_refused(message, store)


def _why_refused(message: Message, store: Store) -> str | None:
    """Return why a message to a cardholder may not go to its address any more, None if it may."""
    if message.channel == ChannelName.SMS and store.opted_out_since(message.address) is not None:
        return OPTED_OUT
    challenge = store.challenge(message.challenge_id or "") if message.kind in ASKING else None
    account = store.account(challenge.user_id) if challenge else None
    if account is None:
        return None
    if address_of(account, message.channel) != message.address:
        return "address changed"
    return None if account.consent and message.channel in account.channels else "consent withdrawn"


def _outcome(
    claim: Claim, message: Message, delivery: Delivery, *, store: Store, sender: Sender, now_ms: int, token: str
) -> tuple[Recorded, list[Change]]:
    match delivery:
        case Sent(provider_sid=sid):
            accepted = successor(message, state=MessageState.ACCEPTED, provider_sid=sid, sent_at_ms=now_ms, error=None)
            return Recorded.ACCEPTED, [PutMessage(accepted), *question_sent(message, store=store, now_ms=now_ms)]
        case NotSent(retryable=True, tried=False):
            unsent = msgspec.structs.replace(message, attempts=message.attempts - 1)
            return Recorded.RETRY, [_later(unsent, delivery, now_ms=now_ms, token=token)]
        case NotSent(retryable=True) if message.kind is MessageKind.CALLBACK or message.attempts < SENDS_MAX:
            later = _later(message, delivery, now_ms=now_ms, token=token)
            return Recorded.RETRY, [later, *_alarm(message, delivery, store=store, sender=sender, now_ms=now_ms)]
        case NotSent():
            return Recorded.FAILED, _failed(message, delivery, store=store, sender=sender, now_ms=now_ms, token=token)
        case NotFound():
            return Recorded.RETRY, [PutMessage(successor(message, state=MessageState.QUEUED, due_at_ms=now_ms))]
        case UnknownSent(error=error) | LookUpFailed(error=error):
            return _unknown(claim, message, error, now_ms=now_ms, token=token)


def _later(message: Message, delivery: NotSent, *, now_ms: int, token: str) -> PutMessage:
    """Return the change that lets a message be sent again after a while, at the end of its life at the latest."""
    callback = message.kind is MessageKind.CALLBACK
    ceiling_ms = CALLBACK_BACKOFF_MAX_MS if callback else BACKOFF_MAX_MS
    wait_ms = max(delivery.retry_after_ms or 0, backoff_ms(message.attempts, token=token, ceiling_ms=ceiling_ms))
    due_at_ms = min(now_ms + wait_ms, max(now_ms, message.life_ends_at_ms))
    return PutMessage(successor(message, state=MessageState.QUEUED, due_at_ms=due_at_ms, error=delivery.error))


def _failed(
    message: Message, delivery: NotSent, *, store: Store, sender: Sender, now_ms: int, token: str
) -> list[Change]:
    changes = _put_away(message, MessageState.FAILED, delivery.error, now_ms)
    failure = Failure(opted_out=delivery.opted_out, gone=delivery.gone, refused=True)
    changes += not_delivered(message, failure, store=store, sender=sender, now_ms=now_ms, token=token)
    return [*changes, *_alarm(message, delivery, store=store, sender=sender, now_ms=now_ms)]


def _alarm(message: Message, delivery: NotSent, *, store: Store, sender: Sender, now_ms: int) -> list[Change]:
    if not delivery.alarm:
        return []
    return provider_alarm(message.channel, delivery.error, store=store, sender=sender, now_ms=now_ms)


def _unknown(claim: Claim, message: Message, error: str, *, now_ms: int, token: str) -> tuple[Recorded, list[Change]]:
    """Do about a message what its channel does where nobody knows whether the provider has it."""
    match claim.on_unknown:
        case OnUnknown.RESEND:
            return Recorded.RETRY, [_later(message, NotSent(error, retryable=True), now_ms=now_ms, token=token)]
        case OnUnknown.LEAVE:
            return Recorded.UNKNOWN, _leave(message, error, now_ms)
    if now_ms >= message.life_ends_at_ms + _LOOK_UP_GRACE_MS:
        return Recorded.FAILED, _put_away(message, MessageState.FAILED, error, now_ms)
    due_at_ms = now_ms + LOOK_UP_DELAY_MS
    return Recorded.UNKNOWN, [
        PutMessage(successor(message, state=MessageState.UNKNOWN, due_at_ms=due_at_ms, error=error))
    ]


def _leave(message: Message, error: str, now_ms: int) -> list[Change]:
    """Return the changes that let a message stand as unknown to the end of its life: it is never sent again."""
    ends_at_ms = message.life_ends_at_ms
    if now_ms >= ends_at_ms:
        return _put_away(message, MessageState.FAILED, error, now_ms)
    return [PutMessage(successor(message, state=MessageState.UNKNOWN, due_at_ms=ends_at_ms, error=error))]


def _put_away(message: Message, state: MessageState, error: str, now_ms: int) -> list[Change]:
    """Return the changes that end a message; a callback that the payment system never took becomes a dead letter."""
    changes: list[Change] = [PutMessage(successor(message, state=state, error=error))]
    if message.kind is MessageKind.CALLBACK:
        changes.append(_dead_letter(message.transaction_id or "", message.message_id, error, now_ms))
    return changes


def _dead_letter(key: str, message_id: str, cause: str, now_ms: int) -> AddDeadLetter:
    return AddDeadLetter(DEAD_LETTER_CONSUMER, key, cause, message_id, now_ms)
