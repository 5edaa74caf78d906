"""A cardholder: how to reach them, where they live, and whether they may be asked."""

import msgspec

from cardwatch.domain.place import Place


class Home(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a cardholder lives: the free text as sent and the place it resolved to."""

    location: str | None = None
    place: Place | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cardholder's account; `phone_number` is E.164, `time_zone` an IANA name, `language` a two-letter code."""

    user_id: str
    currency: str = "USD"
    name: str | None = None
    phone_number: str | None = None
    email: str | None = None
    language: str = "en"
    time_zone: str = "UTC"
    home: Home = Home()
    channels: tuple[str, ...] = ("sms",)
    consent: bool = False
    """Whether the holder agreed to security messages."""
    held_since_ms: int | None = None
    """Set by a NO: suspicious payments go to review until an analyst releases the account."""
    opted_out_at_ms: int | None = None
    """Set by STOP."""
    created_at_ms: int = 0
    version: int = 1
