"""Put away what lies in the outbox for a channel that this process does not have: its setting was taken out.

Nothing works it off, so it would be due for ever. Until its life ends it stays: the setting may come back.
"""

from collections.abc import Sequence

from cardwatch.domain.challenge import ChannelName
from cardwatch.domain.changes import AddDeadLetter, Change, PutMessage, SetAsideMessage, successor
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.message import TO_DO, Message, MessageKind, MessageState
from cardwatch.ports import Store
from cardwatch.services.alerts import ALERT_CHANNEL
from cardwatch.services.reach import Sender
from cardwatch.services.send_messages import DEAD_LETTER_CONSUMER
from cardwatch.services.tell_payment_system import CALLBACK_CHANNEL

CHANNELS: tuple[str, ...] = (*(channel.value for channel in ChannelName), CALLBACK_CHANNEL, ALERT_CHANNEL)
"""Every channel that a message may be for."""

NOT_CONFIGURED = "channel not configured"


def missing_channels(sender: Sender) -> tuple[str, ...]:
    """Return the channels that a process cannot send by."""
    return tuple(channel for channel in CHANNELS if not sender.has(channel))


def put_away_messages(message_ids: Sequence[str], *, store: Store, now_ms: int) -> int:
    """Put away those of these due messages whose life has ended; returns how many.

    Each is expired, with its cause as its error. A callback becomes a dead letter, for it was never told, and so does a
    message that cannot be read. Whatever another worker changed meanwhile is passed over.
    """
    put_away = 0
    for message_id in message_ids:
        try:
            message = store.message(message_id)
        except StoreCorrupt as error:
            changes: list[Change] = [SetAsideMessage(message_id), _dead_letter(message_id, message_id, error, now_ms)]
        else:
            if message is None or message.state not in TO_DO or message.life_ends_at_ms > now_ms:
                continue
            changes = _expired(message, now_ms)
        put_away += store.apply(changes) is None
    return put_away


def _expired(message: Message, now_ms: int) -> list[Change]:
    changes: list[Change] = [PutMessage(successor(message, state=MessageState.EXPIRED, error=NOT_CONFIGURED))]
    if message.kind is MessageKind.CALLBACK:
        changes.append(_dead_letter(message.transaction_id or "", message.message_id, NOT_CONFIGURED, now_ms))
    return changes


def _dead_letter(key: str, message_id: str, cause: object, now_ms: int) -> AddDeadLetter:
    return AddDeadLetter(DEAD_LETTER_CONSUMER, key, str(cause), message_id, now_ms)
