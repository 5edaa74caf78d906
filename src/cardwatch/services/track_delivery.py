"""Record what the provider reports about a text; a question that cannot arrive is put otherwise, or to an analyst.

Reports are best-effort: they come twice, out of order, and before the call that sent the text has returned. A text
never leaves a final state, and never goes back.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from cardwatch.domain.challenge import Challenge, ChallengeState, ChannelName
from cardwatch.domain.changes import Change, PutAccount, PutChallenge, PutMessage, PutOptOut, successor
from cardwatch.domain.errors import Contended
from cardwatch.domain.message import TO_DO, Message, MessageKind, MessageState
from cardwatch.domain.provider_post import DeliveryReport
from cardwatch.ports import Store
from cardwatch.services.alerts import provider_alarm
from cardwatch.services.ask_cardholder import ask_next, close, expire
from cardwatch.services.escalate_challenges import on_next_channel, once_more
from cardwatch.services.questions import ASKING, is_under_way, may_have_reached
from cardwatch.services.reach import Sender

_ATTEMPTS = 5

_STEP = {MessageState.ACCEPTED: 1, MessageState.SENT: 2}
_FINAL = frozenset({MessageState.DELIVERED, MessageState.UNDELIVERED, MessageState.FAILED, MessageState.EXPIRED})
_NOT_DELIVERED = _FINAL - {MessageState.DELIVERED}


class Tracked(StrEnum):
    """What came of a report."""

    RECORDED = "recorded"
    SAME = "same"
    """Nothing new: a repetition, or a step that the text had passed."""
    STALE = "stale"
    """The text is in another final state, or the report is about another attempt."""
    UNKNOWN_MESSAGE = "unknown_message"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a message cannot arrive, as far as something follows from it."""

    opted_out: bool = False
    expired: bool = False
    """Its life ended before it arrived."""
    once_more: bool = False
    """The same again may arrive: the handset could not be reached."""
    gone: bool = False
    """The address is dead for good."""
    refused: bool = False
    """It provably never left: nobody has read it."""


EARLY_MS = 60_000
"""A provider that says "expired" so long before a question's end means its own queue, not the question."""


def track_delivery(report: DeliveryReport, *, store: Store, sender: Sender, now_ms: int, token: str) -> Tracked:
    """Record a report, with all that follows from it, in one write."""
    for _ in range(_ATTEMPTS):
        message = store.message(report.message_id)
        if message is None:
            return Tracked.UNKNOWN_MESSAGE
        skipped = _skip(message, report)
        if skipped is not None:
            return skipped
        if store.apply(_changes(message, report, store=store, sender=sender, now_ms=now_ms, token=token)) is None:
            return Tracked.RECORDED
    raise Contended("the text kept changing while a report about it was recorded")


def not_delivered(
    message: Message, failure: Failure, *, store: Store, sender: Sender, now_ms: int, token: str
) -> list[Change]:
    """Return what follows when a message cannot arrive.

    A question is put once more where that may help, else on its next channel; where there is none, and no other
    attempt of it is under way, it ends, its payment goes to review and the phone's next one is asked.
    """
    changes = opt_out(message.address, store=store, now_ms=now_ms) if failure.opted_out else []
    challenge = store.challenge(message.challenge_id or "")
    if challenge is None:
        return changes
    if failure.gone:
        changes += forget_device(challenge.user_id, message.address, store=store)
    if challenge.state is not ChallengeState.ASKED:
        return changes
    if failure.expired and challenge.expires_at_ms > now_ms + EARLY_MS:
        failure = msgspec.structs.replace(failure, expired=False)
    if message.kind is MessageKind.QUESTION:
        changes += _put_otherwise(message, challenge, failure, store=store, sender=sender, now_ms=now_ms, token=token)
    elif failure.opted_out and challenge.channel == message.channel:
        changes += on_next_channel(challenge, store=store, sender=sender, now_ms=now_ms, token=token) or []
    return changes


def _put_otherwise(
    message: Message,
    challenge: Challenge,
    failure: Failure,
    *,
    store: Store,
    sender: Sender,
    now_ms: int,
    token: str,
) -> Sequence[Change]:
    current = challenge.channel == message.channel
    if current and failure.once_more:
        again = once_more(challenge, store=store, sender=sender, now_ms=now_ms, token=token)
        if again is not None:
            return again
    others = [m for m in store.messages_about(challenge.challenge_id) if m.message_id != message.message_id]
    if current and not failure.expired:
        freed = _without_phone(challenge, failure, others)
        further = on_next_channel(freed, store=store, sender=sender, now_ms=now_ms, token=token)
        if further is not None:
            following = _ask_next(challenge, store=store, sender=sender, now_ms=now_ms, token=token)
            return [*further, *following] if freed.phone != challenge.phone else further
    if any(is_under_way(other) for other in others) and not failure.expired:
        return []
    record = store.transaction(challenge.transaction_id)
    status = record.status if record else None
    if failure.expired:
        closed = expire(challenge, status=status, now_ms=now_ms)
    else:
        closed = close(challenge, ChallengeState.UNDELIVERABLE, status=status, cause="challenge_undeliverable")
    return [*closed, *_ask_next(challenge, store=store, sender=sender, now_ms=now_ms, token=token)]


def _without_phone(challenge: Challenge, failure: Failure, others: Sequence[Message]) -> Challenge:
    """Return a challenge that gives up its phone, if no text about it was read and none is to come."""
    texts_to_come = any(step.channel is ChannelName.SMS for step in challenge.steps[challenge.step + 1 :])
    read = any(may_have_reached(m) for m in others if m.channel == ChannelName.SMS)
    keeps = not failure.refused or challenge.channel != ChannelName.SMS or texts_to_come or read
    return challenge if keeps else msgspec.structs.replace(challenge, phone="")


def _ask_next(challenge: Challenge, *, store: Store, sender: Sender, now_ms: int, token: str) -> tuple[Change, ...]:
    return ask_next(
        store=store,
        phone=challenge.phone,
        closing={challenge.challenge_id},
        sender=sender,
        now_ms=now_ms,
        token=token,
    )


def opt_out(phone: str, *, store: Store, now_ms: int) -> list[Change]:
    """Return the change that records a number's opt-out, if that is new."""
    return [] if store.opted_out_since(phone) is not None else [PutOptOut(phone, now_ms)]


def forget_device(user_id: str, address: str, *, store: Store) -> list[Change]:
    """Return the change that takes a dead push target from an account, if it still has that one."""
    account = store.account(user_id)
    if account is None or account.push is None or account.push.address != address:
        return []
    return [PutAccount(successor(account, push=None))]


def question_sent(message: Message, *, store: Store, now_ms: int) -> list[Change]:
    """Return the change that notes on a challenge that a provider took its question."""
    challenge = store.challenge(message.challenge_id or "") if message.kind in ASKING else None
    if challenge is None:
        return []
    return [] if challenge.sent_at_ms is not None else [PutChallenge(successor(challenge, sent_at_ms=now_ms))]


def _skip(message: Message, report: DeliveryReport) -> Tracked | None:
    """Return why a report changes nothing, None if it does."""
    if message.provider_sid not in {None, report.provider_sid}:
        return Tracked.STALE
    if message.state in _FINAL:
        return Tracked.SAME if message.state is report.state else Tracked.STALE
    if report.state not in _FINAL and _step(report.state) <= _step(message.state):
        return Tracked.SAME
    return None


def _step(state: MessageState) -> int:
    return 0 if state in TO_DO else _STEP.get(state, 0)


def _changes(
    message: Message, report: DeliveryReport, *, store: Store, sender: Sender, now_ms: int, token: str
) -> list[Change]:
    reported = successor(
        message,
        state=report.state,
        provider_sid=report.provider_sid,
        sent_at_ms=message.sent_at_ms or now_ms,
        error=report.error or message.error,
    )
    if report.state not in _NOT_DELIVERED:
        return [PutMessage(reported), *question_sent(message, store=store, now_ms=now_ms)]
    failure = Failure(
        opted_out=report.opted_out, expired=report.state is MessageState.EXPIRED, once_more=report.once_more
    )
    consequences = not_delivered(message, failure, store=store, sender=sender, now_ms=now_ms, token=token)
    if report.alarm:
        error = report.error or "refused"
        consequences += provider_alarm(message.channel, error, store=store, sender=sender, now_ms=now_ms)
    return [PutMessage(reported), *consequences]
