"""What analysts and operators are told at once: a payment waits for a judgement, or messages cannot go out.

An alert is a row of the outbox like any other message, so that none is lost with a crash; its id makes it one.
"""

from cardwatch.domain.changes import AddMessage, Change
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.times import HOUR_MS
from cardwatch.ports import Messages
from cardwatch.services.reach import Sender

ALERT_CHANNEL = "alert"

RECEIVERS = "analysts"
"""Stands for the receivers that the channel is configured with."""

_LIFE_MS = 6 * HOUR_MS


def alert(
    alert_id: str,
    *,
    title: str,
    body: str,
    store: Messages,
    sender: Sender,
    now_ms: int,
    transaction_id: str | None = None,
) -> list[Change]:
    """Return the change that tells the analysts something once, nothing where alerts are off or this one was given.

    Title and body carry ids, amounts and causes, never what identifies a cardholder.
    """
    if not sender.has(ALERT_CHANNEL) or store.message(alert_id) is not None:
        return []
    message = Message(
        message_id=alert_id,
        direction=Direction.OUTBOUND,
        kind=MessageKind.ALERT,
        state=MessageState.QUEUED,
        channel=ALERT_CHANNEL,
        address=RECEIVERS,
        own_address=sender.own_address(ALERT_CHANNEL),
        subject=title,
        body=body,
        created_at_ms=now_ms,
        due_at_ms=now_ms,
        expires_at_ms=now_ms + _LIFE_MS,
        transaction_id=transaction_id,
    )
    return [AddMessage(message)]


def provider_alarm(channel: str, error: str, *, store: Messages, sender: Sender, now_ms: int) -> list[Change]:
    """Return the change that tells once an hour that a provider refuses messages until an operator acts."""
    hour = now_ms // HOUR_MS
    return alert(
        f"alarm:{channel}:{error.split(' ', maxsplit=1)[0]}:{hour}",
        title=f"{sender.institution}: messages by {channel} are refused",
        body=f"The provider answers: {error}. Questions go to other channels or to review until this is mended.",
        store=store,
        sender=sender,
        now_ms=now_ms,
    )
