"""Notifications to a cardholder's device: through Firebase Cloud Messaging, or a browser's own push service.

What a tap opens is the page that asks: the link is made here, when it is sent, and stands in no stored message. An
address is `PushTarget.address`, which says which of the two it is.
"""

import base64
import hashlib
from typing import Protocol

import msgspec

from cardwatch.domain.account import PushTarget, push_target
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.domain.times import DAY_MS
from cardwatch.ports import Clock, NotSent, OnUnknown, Sent, UnknownSent

LIFE_WITHOUT_EXPIRY_MS = DAY_MS
"""How long a notification without an end may wait for its device."""

NOT_INSTALLED = "notifications need more packages: pip install 'cardwatch[push]'"
"""What `prepare` of the senders says where the extra is missing."""

TAG_LENGTH = 32
"""The longest Topic (RFC 8030, 5.4)."""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """What is to appear on a device."""

    title: str
    body: str
    link: str
    """What a tap opens. It is a secret: whoever has it can answer."""
    tag: str
    """Of the question: a later notification with the same tag takes the place of this one. 32 URL-safe characters."""
    life_s: int
    """How long it may wait for its device, at least 1."""
    expires_at_s: int
    """The end of its life in seconds since 1970 UTC."""

    def __repr__(self) -> str:
        return "Notification(...)"


class PushSender(Protocol):
    """One of the ways to a device: `FcmSender`, `WebPushSender`."""

    longest_s: float
    """The longest that sending takes."""

    def send(self, target: PushTarget, notification: Notification) -> Sent | NotSent | UnknownSent:
        """Hand a notification to the service of a target."""
        ...


class Links(Protocol):
    """A message's links."""

    @property
    def confirm_url(self) -> str:
        """The page that asks, where it is told that the payment was the holder's own."""
        ...

    @property
    def deny_url(self) -> str:
        """The page, where it is told that it was not."""
        ...


class LinkSource(Protocol):
    """Makes the links of a message."""

    def links(self, message: Message) -> Links:
        """Return the links of a message; the same message always gets the same."""
        ...


class PushChannel:
    """The channel "push"."""

    name = "push"
    own_address = "push"
    on_unknown = OnUnknown.LEAVE

    def __init__(
        self, *, links: LinkSource, clock: Clock, fcm: PushSender | None = None, web_push: PushSender | None = None
    ) -> None:
        """Take the ways that are configured, one of them at least to be of use."""
        self._links = links
        self._clock = clock
        self._fcm = fcm
        self._web_push = web_push

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Hand a message to the service of its device, to be shown within its remaining life."""
        try:
            target = push_target(message.address)
        except ValueError:
            return NotSent("not a push target", retryable=False, tried=False)
        sender = self._fcm if target.fcm_token is not None else self._web_push
        if sender is None:
            return NotSent("devices of this kind are not configured", retryable=False, tried=False)
        now_ms = self._clock.now_ms()
        if message.expires_at_ms is not None and message.expires_at_ms - now_ms < 1000:
            return NotSent("life ended", retryable=False, tried=False)
        from cardwatch.adapters.channels import http_post  # noqa: PLC0415 - heavy; only what sends pays for it

        if http_post.claim_may_run_out(message, now_ms=now_ms, longest_s=sender.longest_s):
            return NotSent("claim ran out before it was sent", retryable=True, tried=False)
        return sender.send(target, self._notification(message, now_ms))

    def find(self, message: Message) -> Sent | None:  # noqa: ARG002 - the port's form
        """Raise OperatingError: no push service says what it has."""
        raise OperatingError("notifications cannot be looked up")

    def _notification(self, message: Message, now_ms: int) -> Notification:
        ends_at_ms = now_ms + LIFE_WITHOUT_EXPIRY_MS if message.expires_at_ms is None else message.expires_at_ms
        return Notification(
            title=message.subject or "",
            body=message.body,
            link=self._links.links(message).confirm_url,
            tag=_tag(message.challenge_id or message.message_id),
            life_s=(ends_at_ms - now_ms) // 1000,
            expires_at_s=ends_at_ms // 1000,
        )


def _tag(question: str) -> str:
    """Return a question's tag, from which neither it nor its payment can be read."""
    return base64.urlsafe_b64encode(hashlib.sha256(question.encode()).digest()).decode()[:TAG_LENGTH]
