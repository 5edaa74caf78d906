"""A message to or from somebody. Outbound rows are the outbox: written with what caused them, sent by a worker.

outbound: queued -> sending -> accepted -> sent -> delivered
|          `-> undelivered | failed
|-> queued (provably not taken: try again)    -> failed | expired
`-> unknown (no clear answer: look it up before anything is sent again)
inbound:  received
"""

from enum import StrEnum

import msgspec

from cardwatch.domain.times import HOUR_MS

LIFE_WITHOUT_EXPIRY_MS = 72 * HOUR_MS
"""How long a message is worth sending that names no end of its own."""


class Direction(StrEnum):
    """Seen from Cardwatch."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


class MessageKind(StrEnum):
    """What a text is for."""

    QUESTION = "question"
    REMINDER = "reminder"
    """The same question again, on the same channel."""
    ACK = "ack"
    """An answer to a reply: what it did, or one more prompt."""
    REPLY = "reply"
    CALLBACK = "callback"
    """What became of a payment, told to the payment system."""
    ALERT = "alert"
    """What an analyst or an operator should look at."""


class MessageState(StrEnum):
    """How far a text has come."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    EXPIRED = "expired"
    RECEIVED = "received"


TO_DO: frozenset[MessageState] = frozenset({MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN})
"""States of outbound texts in which a worker still has to act: send, or look up what became of it."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message with its delivery."""

    message_id: str
    """Ours: for outbound texts the idempotency key (challenge and step), for inbound ones the provider's sid."""
    direction: Direction
    kind: MessageKind
    state: MessageState
    channel: str
    address: str
    """The other end, receiver or sender: a number (E.164), an e-mail address, a push target, a callback's URL."""
    own_address: str
    """Our end: a number or sender id, an e-mail address."""
    body: str
    """What is said, without links: the channel that sends it makes those."""
    created_at_ms: int
    due_at_ms: int = 0
    """Not to be sent (or looked up, while sending or unknown) before."""
    expires_at_ms: int | None = None
    challenge_id: str | None = None
    transaction_id: str | None = None
    provider_sid: str | None = None
    attempts: int = 0
    sent_at_ms: int | None = None
    subject: str | None = None
    """An e-mail's subject, a notification's title."""
    language: str | None = None
    """Two letters, where the channel adds words of its own (the names of buttons)."""
    nonce: str | None = None
    """What makes this message's links its own, where it has any."""
    error: str | None = None
    """The provider's code and our word for it ("21610 opted out")."""
    version: int = 1

    @property
    def life_ends_at_ms(self) -> int:
        """When it is not worth sending any more."""
        return self.created_at_ms + LIFE_WITHOUT_EXPIRY_MS if self.expires_at_ms is None else self.expires_at_ms
