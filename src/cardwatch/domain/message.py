"""A text to or from a phone. Outbound rows are the outbox: written with the decision, sent by a worker.

outbound: queued -> sending -> accepted -> sent -> delivered
|          `-> undelivered | failed
|-> queued (provably not taken: try again)    -> failed | expired
`-> unknown (no clear answer: look it up before anything is sent again)
inbound:  received
"""

from enum import StrEnum

import msgspec


class Direction(StrEnum):
    """Seen from Cardwatch."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


class MessageKind(StrEnum):
    """What a text is for."""

    QUESTION = "question"
    ACK = "ack"
    """An answer to a reply: what it did, or one more prompt."""
    REPLY = "reply"


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
    """One text with its delivery."""

    message_id: str
    """Ours: for outbound texts the idempotency key (challenge and step), for inbound ones the provider's sid."""
    direction: Direction
    kind: MessageKind
    state: MessageState
    channel: str
    phone: str
    """The holder's number, E.164: the receiver of outbound texts, the sender of inbound ones."""
    own_number: str
    """Our number or sender id."""
    body: str
    created_at_ms: int
    due_at_ms: int = 0
    """Not to be sent (or looked up, while sending or unknown) before."""
    expires_at_ms: int | None = None
    challenge_id: str | None = None
    transaction_id: str | None = None
    provider_sid: str | None = None
    attempts: int = 0
    sent_at_ms: int | None = None
    error: str | None = None
    """The provider's code and our word for it ("21610 opted out")."""
    version: int = 1
