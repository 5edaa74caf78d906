"""What Twilio's error codes mean for a text: a word for the record, and what is done about it.

Source: Twilio's error and warning dictionary (twilio.com/docs/api/errors), read November 2026.
"""

import msgspec


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a text was not taken or not delivered."""

    word: str
    retryable: bool = False
    """Provably not processed, and likely to pass later."""
    opted_out: bool = False
    """The number refuses our texts; it is never texted again."""
    expired: bool = False
    """Its validity ended before it could be delivered."""
    once_more: bool = False
    """The same text again may arrive."""
    alarm: bool = False
    """An operator has to act before anything passes."""


REFUSALS: dict[int, Refusal] = {
    10001: Refusal(word="account not active: check the account", alarm=True),
    20003: Refusal(word="not authenticated: check the account sid and token", alarm=True),
    20404: Refusal(word="not found: check the account sid and the API's address", alarm=True),
    20429: Refusal(word="too many requests", retryable=True),
    21211: Refusal(word="not a valid number"),
    21212: Refusal(word="not a valid sender: check the sender's number", alarm=True),
    21408: Refusal(word="country not enabled: check the geographic permissions", alarm=True),
    21603: Refusal(word="no sender: check the sender's number", alarm=True),
    21606: Refusal(word="sender cannot text this number: check the sender's number", alarm=True),
    21608: Refusal(word="number not verified: a trial account texts verified numbers only", alarm=True),
    21610: Refusal(word="opted out", opted_out=True),
    21611: Refusal(word="sender's queue is full", retryable=True),
    21612: Refusal(word="number cannot be reached from this sender"),
    21614: Refusal(word="not a mobile number"),
    21617: Refusal(word="text too long"),
    21635: Refusal(word="landline"),
    21703: Refusal(word="messaging service without a sender: check its sender pool", alarm=True),
    30001: Refusal(word="queue overflow", once_more=True),
    30002: Refusal(word="account suspended: check the account", alarm=True),
    30003: Refusal(word="handset unreachable", once_more=True),
    30004: Refusal(word="blocked"),
    30005: Refusal(word="unknown handset"),
    30006: Refusal(word="landline or carrier cannot be reached"),
    30007: Refusal(word="filtered by the carrier: check the registration", alarm=True),
    30008: Refusal(word="unknown error", once_more=True),
    30032: Refusal(word="toll-free number not verified: check the registration", alarm=True),
    30034: Refusal(word="sender not registered: check the 10DLC registration", alarm=True),
    30036: Refusal(word="validity period expired", expired=True),
}
"""Refusals of a request (10001 to 21703), and failures that a status callback reports (30001 onwards)."""

_BY_STATUS = {401: 20003, 403: 20003, 404: 20404, 429: 20429}
"""What a status means where no known code comes with it."""


def refusal(code: int | None, *, http_status: int | None = None) -> Refusal:
    """Return what a code means; one not in the table is final, unless the HTTP status says more."""
    known = REFUSALS.get(code or 0) or REFUSALS.get(_BY_STATUS.get(http_status or 0, 0))
    return known or Refusal(word="refused")


def error_text(code: int | None, meaning: Refusal) -> str:
    """Return code and word for the record ("21610 opted out"); never the provider's own text, which names numbers."""
    return meaning.word if code is None else f"{code} {meaning.word}"
