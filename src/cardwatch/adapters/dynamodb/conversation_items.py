"""The items of the conversations table: challenges, messages, what lists them, and the few keepers of positions.

| pk                  | sk                    | what                                                          |
|---------------------|-----------------------|---------------------------------------------------------------|
| challenge#ID        | challenge             | a challenge; in `by_due` while open, in `by_act` while due    |
| challenge#ID        | set-aside             | one that could not be read, until its account is erased       |
| message#ID          | message               | a message; in `by_due` while in the outbox                    |
| phone#P, user#U     | open                  | ids of the open challenges: a head, whose revision guards it  |
| phone#P             | asked#MS#ID           | a challenge that was asked on the phone                       |
| phone#P             | opt-out               | since when the number refuses texts                           |
| about#CHALLENGE     | messages              | ids of the messages about a challenge                         |
| cursor              | CONSUMER              | a position in the change log                                  |
| dead-letter         | NUMBER                | a dead letter                                                 |
| counter             | dead-letter           | the last number given                                         |
| calendar            | DAY                   | a day on which payments were received                         |
| log                 | trimmed               | how far the change log was forgotten                          |
| erasure             | last                  | the latest time of an erasure                                 |

What is listed under a phone, an account or a challenge stands in base tables, which are read consistently.
"""

from typing import Final

from cardwatch.adapters.dynamodb import codecs
from cardwatch.adapters.dynamodb.names import Key, Table
from cardwatch.adapters.dynamodb.values import Item, data, number, text
from cardwatch.domain.challenge import OPEN, Challenge, ChallengeState
from cardwatch.domain.message import TO_DO, Direction, Message
from cardwatch.ports import DeadLetter

EXPIRY: Final = "expiry"
ESCALATION: Final = "escalation"
AFTER_ALL: Final = "\U0010ffff"
"""Sorts after everything that may follow a time in a sort key."""


def _key(partition: str, sort: str) -> Key:
    return Table.CONVERSATIONS, partition, sort


def challenge_key(challenge_id: str) -> Key:
    """Return the key of a challenge."""
    return _key(f"challenge#{challenge_id}", "challenge")


def set_aside_key(challenge_id: str) -> Key:
    """Return the key under which what was stored of a challenge that was set aside is kept."""
    return _key(f"challenge#{challenge_id}", "set-aside")


def message_key(message_id: str) -> Key:
    """Return the key of a message."""
    return _key(f"message#{message_id}", "message")


def phone_head(phone: str) -> Key:
    """Return the key of a phone's list of open challenges."""
    return _key(f"phone#{phone}", "open")


def user_head(user_id: str) -> Key:
    """Return the key of an account's list of open challenges."""
    return _key(f"user#{user_id}", "open")


def asked_key(challenge: Challenge) -> Key | None:
    """Return the key under which a challenge is found among those asked on its phone, None if it is not."""
    if challenge.asked_at_ms is None or not challenge.phone:
        return None
    return _key(f"phone#{challenge.phone}", f"asked#{when(challenge.asked_at_ms)}#{challenge.challenge_id}")


def opt_out_key(phone: str) -> Key:
    """Return the key of a number's opt-out."""
    return _key(f"phone#{phone}", "opt-out")


def about_key(challenge_id: str) -> Key:
    """Return the key of the list of messages about a challenge."""
    return _key(f"about#{challenge_id}", "messages")


def cursor_key(consumer: str) -> Key:
    """Return the key of a consumer's position."""
    return _key("cursor", consumer)


def dead_letter_key(dead_letter_id: int) -> Key:
    """Return the key of a dead letter."""
    return _key("dead-letter", when(dead_letter_id))


DEAD_LETTER_COUNTER: Final = _key("counter", "dead-letter")
TRIMMED: Final = _key("log", "trimmed")
LAST_ERASURE: Final = _key("erasure", "last")


def day_key(day: str) -> Key:
    """Return the key of a day in the calendar."""
    return _key("calendar", day)


def when(number_: int) -> str:
    """Return a time in ms, or another number, so that text sorts like it."""
    return f"{max(number_, 0):015d}"


def new_item(key: Key) -> Item:
    """Return an item with nothing but its key."""
    return {"pk": key[1], "sk": key[2]}


def challenge_item(challenge: Challenge, *, home: str) -> Item:
    """Return a challenge's item; `home` is the payment it was added to."""
    item = new_item(challenge_key(challenge.challenge_id)) | {
        "version": challenge.version,
        "home": home,
        "subject": f"user#{challenge.user_id}",
        "phone": challenge.phone,
        "body": codecs.encode(challenge),
    }
    if (asked := asked_key(challenge)) is not None:
        item["asked"] = asked[2]
    if challenge.state in OPEN:
        item |= {"due": EXPIRY, "due_at": f"{when(challenge.expires_at_ms)}#{challenge.challenge_id}"}
    if challenge.state is ChallengeState.ASKED and challenge.act_at_ms is not None:
        item |= {"act": ESCALATION, "act_at": f"{when(challenge.act_at_ms)}#{challenge.challenge_id}"}
    return item


def challenge_of(item: Item) -> Challenge:
    """Return the challenge of an item; raises StoreCorrupt."""
    return codecs.decode_challenge(data(item, "body"))


def outbox(channel: str) -> str:
    """Return the partition of a channel's outbox in the index by due time."""
    return f"outbox#{channel}"


def message_item(message: Message) -> Item:
    """Return a message's item."""
    said_at = f"{when(message.created_at_ms)}#{message.message_id}"
    item = new_item(message_key(message.message_id)) | {
        "version": message.version,
        "said_at": said_at,
        "body": codecs.encode(message),
    }
    if message.address:
        item["address"] = message.address
    if message.challenge_id is not None:
        item["about"] = message.challenge_id
    if message.transaction_id is not None:
        item["subject"] = f"payment#{message.transaction_id}"
    if message.direction is Direction.OUTBOUND and message.state in TO_DO:
        item |= {"due": outbox(message.channel), "due_at": f"{when(message.due_at_ms)}#{said_at}"}
    return item


def message_of(item: Item) -> Message:
    """Return the message of an item; raises StoreCorrupt."""
    return codecs.decode_message(data(item, "body"))


def dead_letter_item(letter: DeadLetter) -> Item:
    """Return a dead letter's item."""
    return new_item(dead_letter_key(letter.dead_letter_id)) | {
        "number": letter.dead_letter_id,
        "consumer": letter.consumer,
        "about": letter.key,
        "cause": letter.cause,
        "payload": letter.payload,
        "at_ms": letter.at_ms,
    }


def dead_letter_of(item: Item) -> DeadLetter:
    """Return the dead letter of an item; raises StoreCorrupt."""
    return DeadLetter(
        number(item, "number"),
        text(item, "consumer"),
        text(item, "about"),
        text(item, "cause"),
        text(item, "payload"),
        number(item, "at_ms"),
    )
