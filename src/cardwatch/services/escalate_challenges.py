"""Put a question again that nobody answered: a reminder on the same channel, then the next channel in its order.

A reminder waits for the end of the quiet hours, and one that could not go out before they begin is dropped; the
question itself does not wait, since money is held up meanwhile. Texts are counted: a challenge has three at most, its
answers included.
"""

from collections.abc import Sequence

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge, ChallengeState, ChannelName
from cardwatch.domain.changes import AddMessage, Change, PutChallenge, successor
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.escalation import QuietHours
from cardwatch.domain.message import Message, MessageKind
from cardwatch.domain.transaction import Transaction
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import act_at_ms, scheduled
from cardwatch.services.questions import may_have_reached, question_message, texts_left
from cardwatch.services.reach import Sender, why_not
from cardwatch.services.set_aside_challenge import set_aside_challenge

RETRY_DELAY_MS = 30_000
"""Before a text is tried once more whose handset could not be reached: long enough to leave a tunnel."""

_ATTEMPTS = 3


def escalate_challenges(*, store: Store, sender: Sender, now_ms: int, token: str, limit: int = 100) -> tuple[str, ...]:
    """Take up to `limit` unanswered challenges a step further; returns the ids of those that moved.

    One that keeps changing meanwhile is left to the next sweep; one that cannot be read is set aside.
    """
    return tuple(
        challenge_id
        for challenge_id in store.challenge_ids_to_escalate(now_ms=now_ms, limit=limit)
        if _escalate(challenge_id, store=store, sender=sender, now_ms=now_ms, token=token)
    )


def on_next_channel(
    challenge: Challenge, *, store: Store, sender: Sender, now_ms: int, token: str
) -> list[Change] | None:
    """Return the changes that put a standing question on the next channel, None if none reaches its holder."""
    record, account = store.transaction(challenge.transaction_id), store.account(challenge.user_id)
    if record is None or account is None or challenge.expires_at_ms <= now_ms:
        return None
    step = _next_step(challenge, record.transaction, account, store=store, sender=sender, now_ms=now_ms)
    if step is None:
        return None
    moved = scheduled(challenge, step=step, now_ms=now_ms)
    return _put_again(
        moved, record.transaction, account, MessageKind.QUESTION, store=store, sender=sender, now_ms=now_ms, token=token
    )


def once_more(challenge: Challenge, *, store: Store, sender: Sender, now_ms: int, token: str) -> list[Change] | None:
    """Return the changes that put a question a second time after a while, None where it had its second attempt."""
    record, account = store.transaction(challenge.transaction_id), store.account(challenge.user_id)
    messages = store.messages_about(challenge.challenge_id)
    tried = _count(messages, challenge.channel, MessageKind.QUESTION)
    due_at_ms = now_ms + RETRY_DELAY_MS
    if record is None or account is None or tried > 1 or due_at_ms >= challenge.expires_at_ms:
        return None
    if not _can_put(
        challenge, challenge.channel, record.transaction, account, store=store, sender=sender, now_ms=now_ms
    ):
        return None
    return _put_again(
        challenge,
        record.transaction,
        account,
        MessageKind.QUESTION,
        store=store,
        sender=sender,
        now_ms=now_ms,
        due_at_ms=due_at_ms,
        token=token,
    )


def _escalate(challenge_id: str, *, store: Store, sender: Sender, now_ms: int, token: str) -> bool:
    for _ in range(_ATTEMPTS):
        try:
            challenge = store.challenge(challenge_id)
        except StoreCorrupt as error:
            set_aside_challenge(challenge_id, str(error), store=store, sender=sender, now_ms=now_ms, token=token)
            return False
        if not _is_due(challenge, now_ms) or challenge is None:
            return False
        try:
            changes = _step_further(challenge, store=store, sender=sender, now_ms=now_ms, token=token)
        except StoreCorrupt:
            # Its payment or its account cannot be read: it is not due again, and ends with its life.
            changes = [PutChallenge(successor(challenge, act_at_ms=None))]
        if store.apply(changes) is None:
            return True
    return False


def _is_due(challenge: Challenge | None, now_ms: int) -> bool:
    return (
        challenge is not None
        and challenge.state is ChallengeState.ASKED
        and challenge.act_at_ms is not None
        and challenge.act_at_ms <= now_ms
    )


def _step_further(challenge: Challenge, *, store: Store, sender: Sender, now_ms: int, token: str) -> list[Change]:
    step = challenge.steps[challenge.step]
    if step.remind_after_s is not None and not challenge.reminded:
        return _remind(challenge, store=store, sender=sender, now_ms=now_ms, token=token)
    changes = on_next_channel(challenge, store=store, sender=sender, now_ms=now_ms, token=token)
    return changes or [PutChallenge(successor(challenge, act_at_ms=None))]


def _remind(challenge: Challenge, *, store: Store, sender: Sender, now_ms: int, token: str) -> list[Change]:
    """Put the question again on its channel, later if these are quiet hours; not where the first never got through."""
    record, account = store.transaction(challenge.transaction_id), store.account(challenge.user_id)
    messages = store.messages_about(challenge.challenge_id)
    passed = msgspec.structs.replace(challenge, reminded=True)
    passed = msgspec.structs.replace(passed, act_at_ms=act_at_ms(passed))
    arrived = any(m.channel == challenge.channel and may_have_reached(m) for m in messages)
    if record is None or account is None or not arrived:
        return [PutChallenge(successor(passed))]
    if not _can_put(
        challenge, challenge.channel, record.transaction, account, store=store, sender=sender, now_ms=now_ms
    ):
        return [PutChallenge(successor(passed))]
    quiet = sender.rules.quiet_hours
    due_at_ms = now_ms if quiet is None else quiet.end_after(now_ms, time_zone=account.time_zone)
    if due_at_ms > now_ms:
        ends_at_ms = min(act_at_ms(passed) or challenge.expires_at_ms, challenge.expires_at_ms)
        later = due_at_ms < ends_at_ms
        return [PutChallenge(successor(challenge, act_at_ms=due_at_ms) if later else successor(passed))]
    return _put_again(
        passed,
        record.transaction,
        account,
        MessageKind.REMINDER,
        store=store,
        sender=sender,
        now_ms=now_ms,
        ends_at_ms=None if quiet is None else _begin_ms(quiet, now_ms, time_zone=account.time_zone),
        token=token,
    )


def _begin_ms(quiet: QuietHours, now_ms: int, *, time_zone: str) -> int | None:
    """Return when the quiet hours after a moment outside them begin, None if they never do."""
    others = QuietHours(start=quiet.end, end=quiet.start)
    begin_ms = others.end_after(now_ms, time_zone=time_zone)
    return begin_ms if begin_ms > now_ms else None


def _next_step(
    challenge: Challenge, transaction: Transaction, account: Account, *, store: Store, sender: Sender, now_ms: int
) -> int | None:
    """Return the next step whose channel reaches the holder now."""
    further = range(challenge.step + 1, len(challenge.steps))
    able = (
        number
        for number in further
        if _can_put(
            challenge,
            challenge.steps[number].channel,
            transaction,
            account,
            store=store,
            sender=sender,
            now_ms=now_ms,
        )
    )
    return next(able, None)


def _can_put(
    challenge: Challenge,
    channel: str,
    transaction: Transaction,
    account: Account,
    *,
    store: Store,
    sender: Sender,
    now_ms: int,
) -> bool:
    """Say whether a challenge may be put on a channel once more: a text only to the phone in whose queue it stands."""
    if channel == ChannelName.SMS:
        texts = store.messages_about(challenge.challenge_id)
        if account.phone_number != challenge.phone or texts_left(texts) < 1:
            return False
    return why_not(account, channel, transaction=transaction, store=store, sender=sender, now_ms=now_ms) is None


def _put_again(
    challenge: Challenge,
    transaction: Transaction,
    account: Account,
    kind: MessageKind,
    *,
    store: Store,
    sender: Sender,
    now_ms: int,
    due_at_ms: int | None = None,
    ends_at_ms: int | None = None,
    token: str,
) -> list[Change]:
    """Return the changes that put a question on its challenge's channel."""
    earlier = _count(store.messages_about(challenge.challenge_id), challenge.channel, kind)
    message = question_message(
        challenge,
        kind=kind,
        number=earlier + 1,
        transaction=transaction,
        account=account,
        sender=sender,
        now_ms=now_ms,
        due_at_ms=due_at_ms,
        ends_at_ms=ends_at_ms,
        token=token,
    )
    return [PutChallenge(successor(challenge)), AddMessage(message)]


def _count(messages: Sequence[Message], channel: str, kind: MessageKind) -> int:
    return sum(m.channel == channel and m.kind is kind for m in messages)
