"""What Twilio's error codes mean for a text: a word for the record, and what is done about it.

Source: Twilio's error and warning dictionary (twilio.com/docs/api/errors), read November 2026.
"""

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """Why a text was not taken or not delivered."""

    word: str
    retryable: bool = False
    """Provably not processed, and likely to pass later."""
    opted_out: bool = False
    expired: bool = False


REFUSALS: dict[int, Refusal] = {
    20003: Refusal("not authenticated: check the account sid and token"),
    20429: Refusal("too many requests", retryable=True),
    21211: Refusal("not a valid number"),
    21212: Refusal("not a valid sender: check the sender's number"),
    21408: Refusal("country not enabled: check the geographic permissions"),
    21606: Refusal("sender cannot text this number: check the sender's number"),
    21610: Refusal("opted out", opted_out=True),
    21611: Refusal("sender's queue is full", retryable=True),
    21614: Refusal("not a mobile number"),
    21635: Refusal("landline"),
    30003: Refusal("handset unreachable"),
    30005: Refusal("unknown handset"),
    30006: Refusal("landline or carrier cannot be reached"),
    30007: Refusal("filtered by the carrier: check the registration"),
    30008: Refusal("unknown error"),
    30034: Refusal("sender not registered: check the 10DLC registration"),
    30036: Refusal("validity period expired", expired=True),
}


def refusal(code: int | None, *, http_status: int | None = None) -> Refusal:
    """Return what a code means; one not in the table is final, unless the status says "too many requests"."""
    known = REFUSALS.get(code) if code is not None else None
    if known is not None:
        return known
    return REFUSALS[20429] if http_status == 429 else Refusal("refused")


def error_text(code: int | None, meaning: Refusal) -> str:
    """Return code and word for the record ("21610 opted out"); never the provider's own text, which names numbers."""
    return meaning.word if code is None else f"{code} {meaning.word}"
