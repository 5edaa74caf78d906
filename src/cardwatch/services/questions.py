"""The messages of a challenge: the question on each channel, and its reminder."""

import hashlib
from collections.abc import Sequence

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge, ChannelName
from cardwatch.domain.link_question import render_email, render_push
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.question import Subject, TextKind, render
from cardwatch.domain.transaction import Transaction
from cardwatch.services.reach import Sender, address_of

TEXTS_MAX = 3
"""Texts per challenge in three days, answers and reminders included (47 CFR 64.1200(a)(9)(iii))."""

ASKING = frozenset({MessageKind.QUESTION, MessageKind.REMINDER})
"""Kinds of messages that put the question."""

_NOT_PUT = frozenset({MessageState.QUEUED, MessageState.UNDELIVERED, MessageState.FAILED, MessageState.EXPIRED})


def question_message(
    challenge: Challenge,
    *,
    kind: MessageKind,
    number: int,
    transaction: Transaction,
    account: Account,
    sender: Sender,
    now_ms: int,
    due_at_ms: int | None = None,
    ends_at_ms: int | None = None,
    token: str,
) -> Message:
    """Return the question, or its reminder, as a row of the outbox for the challenge's present channel.

    It is not delivered after the challenge's life, or after `ends_at_ms` where that comes before. `number` counts the
    attempts on this channel, and makes the id the idempotency key of this one; `token` is fresh randomness, from which
    links get what makes them unguessable.
    """
    message_id = attempt_id(challenge, challenge.channel, kind, number)
    subject, body = _words(kind, challenge, transaction, account, sender)
    return Message(
        message_id=message_id,
        direction=Direction.OUTBOUND,
        kind=kind,
        state=MessageState.QUEUED,
        channel=challenge.channel,
        address=address_of(account, challenge.channel) or "",
        own_address=sender.own_address(challenge.channel),
        body=body,
        subject=subject,
        language=None if challenge.channel == ChannelName.SMS else account.language,
        nonce=None if challenge.channel == ChannelName.SMS else _nonce(message_id, token),
        created_at_ms=now_ms,
        due_at_ms=now_ms if due_at_ms is None else due_at_ms,
        expires_at_ms=challenge.expires_at_ms if ends_at_ms is None else min(challenge.expires_at_ms, ends_at_ms),
        challenge_id=challenge.challenge_id,
        transaction_id=challenge.transaction_id,
    )


def attempt_id(challenge: Challenge, channel: str, kind: MessageKind, number: int) -> str:
    """Return the id of an attempt to put a question: its idempotency key."""
    return f"{challenge.challenge_id}:{channel}:{kind.value}:{number}"


def subject_of(challenge: Challenge, transaction: Transaction, *, sender: Sender) -> Subject:
    """Return what the messages of a challenge are about."""
    return Subject(
        institution=sender.institution,
        amount=transaction.amount,
        merchant=transaction.merchant,
        card=transaction.card,
        code=challenge.code,
    )


def texts_left(messages: Sequence[Message]) -> int:
    """Return how many more texts a challenge may have, from its messages so far."""
    sent = [m for m in messages if m.direction is Direction.OUTBOUND and m.channel == ChannelName.SMS]
    return TEXTS_MAX - len(sent)


def may_have_reached(message: Message) -> bool:
    """Say whether a message about an open question that puts it may be with its receiver, or on its way there.

    What answers a reply while the question stands asks it once more, with the amount, the merchant and the code.
    """
    puts = message.kind in ASKING or message.kind is MessageKind.ACK
    return puts and message.state not in _NOT_PUT


def is_under_way(message: Message) -> bool:
    """Say whether a message that puts a question was, or still may be, delivered."""
    return message.kind in ASKING and (message.state is MessageState.QUEUED or message.state not in _NOT_PUT)


def _words(
    kind: MessageKind, challenge: Challenge, transaction: Transaction, account: Account, sender: Sender
) -> tuple[str | None, str]:
    """Return subject and body for the challenge's present channel."""
    about = subject_of(challenge, transaction, sender=sender)
    match challenge.channel:
        case ChannelName.EMAIL:
            mail = render_email(about, language_code=account.language)
            return mail.subject, mail.body
        case ChannelName.PUSH:
            notification = render_push(about, language_code=account.language)
            return notification.title, notification.body
    text = TextKind.REMINDER if kind is MessageKind.REMINDER else TextKind.QUESTION
    return None, render(text, about, language_code=account.language)


def _nonce(message_id: str, token: str) -> str:
    return hashlib.sha256(f"{token}:{message_id}".encode()).hexdigest()[:32]
