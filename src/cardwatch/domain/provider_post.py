"""What a messaging provider posts to us, in our terms."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from cardwatch.domain.message import MessageState

Form: TypeAlias = Sequence[tuple[str, str]]
"""The fields of a form post in their order; blank and repeated ones are kept, because signatures cover them."""


class PostedForm(msgspec.Struct, frozen=True):
    """A form as it is posted: path and query, raw body, and the value of the signature header."""

    path: str
    body: bytes
    signature: str


class InboundText(msgspec.Struct, frozen=True, kw_only=True):
    """A text as the provider handed it in."""

    message_id: str
    """The provider's sid: a repetition has the same."""
    phone: str
    """Who sent it, E.164."""
    own_number: str
    """Which of our numbers it came to."""
    body: str
    keyword: str | None = None
    """What the provider itself took the text for: "stop", "start" or "help"."""


class DeliveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said about one text."""

    message_id: str
    """Ours, from the callback's own address."""
    provider_sid: str
    state: MessageState
    """ACCEPTED, SENT, DELIVERED, UNDELIVERED, FAILED or EXPIRED."""
    error: str | None = None
    """Code and word: "30003 handset unreachable"."""
    opted_out: bool = False
    once_more: bool = False
    """The same text again may arrive."""
    alarm: bool = False
    """An operator has to act before anything passes: sender, registration."""
