"""A payment as it is sent to us: its fields, what is checked of them, and when two of them are the same.

Every fault of a body is found at once and named by its JSON pointer; an unknown field is a fault, so that nothing
is dropped in silence.
"""

import hashlib
import ipaddress
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from cardwatch.domain.bodies import (
    CARD_NUMBER_REFUSED,
    NO_CONTROL,
    Country,
    Currency,
    Identifier,
    Latitude,
    Longitude,
    ShortText,
    Text,
    pointer,
)
from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.errors import InvalidInput, Problem
from cardwatch.domain.money import MINOR_DIGITS
from cardwatch.domain.times import parse_instant

METADATA_ENTRIES_MAX = 20

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_TEXT_FIELDS = (
    "user_id",
    "merchant",
    "transaction_id",
    "location",
    "merchant_id",
    "category",
    "channel",
    "device_id",
    "card",
)


class Submission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /transaction`."""

    user_id: Identifier
    amount: Annotated[Decimal, Meta(description="Major units, at most the currency's decimals, more than 0")]
    merchant: Text
    transaction_id: Identifier | None = None
    currency: Currency | None = None
    location: Annotated[str, Meta(max_length=200, pattern=NO_CONTROL)] | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    country: Country | None = None
    merchant_id: ShortText | None = None
    category: ShortText | None = None
    mcc: Annotated[str, Meta(min_length=4, max_length=4, pattern="^[0-9]{4}$", description="ISO 18245")] | None = None
    merchant_latitude: Latitude | None = None
    merchant_longitude: Longitude | None = None
    timestamp: Annotated[str, Meta(description="RFC 3339; default now")] | None = None
    channel: ShortText | None = None
    device_id: Annotated[str, Meta(min_length=1, max_length=128, pattern=NO_CONTROL)] | None = None
    ip: Annotated[str, Meta(description="IPv4 or IPv6 address")] | None = None
    card: (
        Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROL, description="A token or last four")] | None
    ) = None
    metadata: Annotated[dict[str, str], Meta(max_length=METADATA_ENTRIES_MAX)] | None = None

    def fingerprint(self) -> str:
        """Hash what was sent, so that "1500", 1500.0 and "1500.00" are the same again."""
        values = list(msgspec.structs.astuple(self))
        values[1] = format(self.amount.normalize(), "f")
        values[-1] = sorted(self.metadata.items()) if self.metadata else None
        return hashlib.blake2b(msgspec.json.encode(values), digest_size=16).hexdigest()


def check_submission(submission: Submission) -> None:
    """Check what types alone cannot say; raises InvalidInput that names every fault."""
    problems = list(_faults(submission))
    if problems:
        raise InvalidInput(problems)


def _faults(submission: Submission) -> Iterator[Problem]:
    if not submission.amount.is_finite() or submission.amount <= 0:
        yield Problem("/amount", "must be a number greater than 0")
    if submission.currency is not None and submission.currency not in MINOR_DIGITS:
        yield Problem("/currency", "is not the code of an active ISO 4217 currency, such as USD")
    if not submission.merchant.strip():
        yield Problem("/merchant", "must not be blank")
    yield from _half_pair(submission.latitude, submission.longitude, "latitude", "longitude")
    yield from _half_pair(
        submission.merchant_latitude, submission.merchant_longitude, "merchant_latitude", "merchant_longitude"
    )
    if submission.timestamp is not None:
        try:
            parse_instant(submission.timestamp)
        except ValueError as error:
            yield Problem("/timestamp", str(error))
    if submission.ip is not None and not _is_address(submission.ip):
        yield Problem("/ip", "must be an IPv4 or IPv6 address")
    yield from _metadata_faults(submission.metadata or {})
    yield from _text_faults(submission)


def _is_address(text: str) -> bool:
    """Say whether a text is an address; one with a zone ("%eth0") is not, as anything may stand in the zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _half_pair(first: float | None, second: float | None, first_name: str, second_name: str) -> Iterator[Problem]:
    if (first is None) != (second is None):
        missing, present = (first_name, second_name) if first is None else (second_name, first_name)
        yield Problem(f"/{missing}", f"is needed beside {present}")


def _metadata_faults(metadata: dict[str, str]) -> Iterator[Problem]:
    for key, value in metadata.items():
        if not 1 <= len(key) <= 64:
            yield Problem("/metadata", "keys must have 1 to 64 characters")
        elif _CONTROL.search(key):
            yield Problem("/metadata", "keys must not hold control characters")
        elif len(value) > 500:
            yield Problem(pointer("metadata", key), "must have at most 500 characters")
        elif _CONTROL.search(value):
            yield Problem(pointer("metadata", key), "must not hold control characters")


def _text_faults(submission: Submission) -> Iterator[Problem]:
    for name in _TEXT_FIELDS:
        value = getattr(submission, name)
        if value is None:
            continue
        if contains_card_number(value):
            yield Problem(f"/{name}", CARD_NUMBER_REFUSED)
    for key, value in (submission.metadata or {}).items():
        if contains_card_number(key):
            yield Problem("/metadata", CARD_NUMBER_REFUSED)
        elif contains_card_number(value):
            yield Problem(pointer("metadata", key), CARD_NUMBER_REFUSED)
