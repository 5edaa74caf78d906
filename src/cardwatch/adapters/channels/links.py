"""The links that a message carries: one for each answer, to the page on the public URL."""

import msgspec

from cardwatch.domain.answer_link import AnswerLink, LinkAction, sign_link
from cardwatch.domain.message import Message
from cardwatch.domain.times import HOUR_MS

ANSWER_PATH = "/answer/"
"""What stands between the public URL and the token."""

LINK_LIFE_AFTER_MS = 72 * HOUR_MS
"""How long links outlive the question: a late NO still opens a case; a late YES is refused by who reads it."""

KEY_BYTES_MIN = 16


class Links(msgspec.Struct, frozen=True):
    """Where the two answers of a message lead; each is a secret of its receiver, never to be logged."""

    confirm_url: str
    deny_url: str

    def __repr__(self) -> str:
        return "Links(...)"


class LinkMaker:
    """Makes the links of messages that ask."""

    def __init__(self, *, public_url: str, key: bytes, life_after_ms: int = LINK_LIFE_AFTER_MS) -> None:
        """Take the URL that the page is served under, the key (at least 16 bytes), and how long links outlive it all.

        `life_after_ms` counts from the end of the question.
        """
        if len(key) < KEY_BYTES_MIN:
            raise ValueError(f"links need a key of {KEY_BYTES_MIN} bytes or more")
        self._base = public_url.rstrip("/") + ANSWER_PATH
        self._key = key
        self._life_after_ms = life_after_ms

    def links(self, message: Message) -> Links:
        """Return a message's links, the same ones each time; raises ValueError if it has no nonce to make them of."""
        return Links(self._url(message, LinkAction.CONFIRM), self._url(message, LinkAction.DENY))

    def _url(self, message: Message, action: LinkAction) -> str:
        if message.nonce is None:
            raise ValueError("a message without a nonce has no links")
        ends_at_ms = message.created_at_ms if message.expires_at_ms is None else message.expires_at_ms
        link = AnswerLink(message.message_id, action, ends_at_ms + self._life_after_ms, message.nonce)
        return self._base + sign_link(link, key=self._key)
