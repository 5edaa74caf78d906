"""The secret in a link that answers a question, and the one in the form that the link opens: signed, never stored.

A link names the message that it went out with, one answer, when it ends, and a nonce that only that message has.
Reading a link says that it is ours, not that it still counts: whoever answers compares the nonce with the message's,
the end with the clock, and takes each answer once. HMAC-SHA256 (RFC 2104) over the printed form, so that a token has
one spelling only; links and forms are signed under different names, so that neither passes for the other.
"""

import base64
import binascii
import hashlib
import hmac
from enum import StrEnum

import msgspec

FORM_LIFE_MS = 30 * 60_000
"""How long an opened page can be answered."""

FORM_CLOCK_SKEW_MS = 60_000
"""How far the clock that made a form may be ahead of the one that reads it."""

_LINK_PURPOSE = b"cardwatch answer link 1\n"
_FORM_PURPOSE = b"cardwatch answer form 1\n"
_TOKEN_LENGTH_MAX = 1024
"""Ours have about 170 characters; what is longer is not worth hashing."""
_TIME_DIGITS_MAX = 16


class LinkAction(StrEnum):
    """What a link answers."""

    CONFIRM = "confirm"
    DENY = "deny"


class AnswerLink(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a link's token says."""

    message_id: str
    """Of the message that carried the link."""
    action: LinkAction
    expires_at_ms: int
    """The link is dead from then on."""
    nonce: str
    """The message's: 32 hexadecimal digits."""

    def is_over(self, now_ms: int) -> bool:
        """Say whether the link's life has ended."""
        return now_ms >= self.expires_at_ms


def sign_link(link: AnswerLink, *, key: bytes) -> str:
    """Return a link's token: what it says and the signature, in letters, digits, "-", "_" and one "."."""
    payload = _printed(msgspec.msgpack.encode(link))
    return f"{payload}.{_signature(_LINK_PURPOSE, payload, key=key)}"


def read_link(token: str, *, key: bytes) -> AnswerLink | None:
    """Return what a token says, None for anything that was not signed with the key; never raises.

    The link may be over: ask `is_over`.
    """
    if len(token) > _TOKEN_LENGTH_MAX or not token.isascii():
        return None
    payload, _, signature = token.partition(".")
    if not hmac.compare_digest(signature, _signature(_LINK_PURPOSE, payload, key=key)):
        return None
    try:
        return msgspec.msgpack.decode(_unprinted(payload), type=AnswerLink)
    except (binascii.Error, msgspec.DecodeError):
        return None


def form_token(token: str, *, key: bytes, now_ms: int) -> str:
    """Return what the form carries that the page behind a link shows: proof that the page was read, and when."""
    return f"{now_ms}.{_signature(_FORM_PURPOSE, f'{now_ms} {token}', key=key)}"


def form_token_holds(given: str, token: str, *, key: bytes, now_ms: int) -> bool:
    """Say whether a form belongs to a link's page and was made within the last 30 minutes; never raises."""
    made_at, _, signature = given.partition(".")
    if not (given.isascii() and token.isascii() and made_at.isdigit() and len(made_at) <= _TIME_DIGITS_MAX):
        return False
    if not hmac.compare_digest(signature, _signature(_FORM_PURPOSE, f"{made_at} {token}", key=key)):
        return False
    return -FORM_CLOCK_SKEW_MS <= now_ms - int(made_at) <= FORM_LIFE_MS


def _signature(purpose: bytes, text: str, *, key: bytes) -> str:
    return _printed(hmac.digest(key, purpose + text.encode("ascii"), hashlib.sha256))


def _printed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unprinted(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
