"""An account as it is sent to us: its fields and what is checked of them."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

import msgspec
import phonenumbers
from msgspec import Meta

from cardwatch.domain.bodies import (
    CARD_NUMBER_REFUSED,
    NO_CONTROL,
    Currency,
    Identifier,
    Latitude,
    Longitude,
    Text,
)
from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.errors import InvalidInput, Problem
from cardwatch.domain.money import MINOR_DIGITS

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)

_PHONE_NUMBER_WANTED = "must be a telephone number with its country code, such as +12065550100"

CHANNELS = ("sms", "email", "push")

PUSH_SERVICES = (
    "fcm.googleapis.com",
    "push.services.mozilla.com",
    "push.apple.com",
    "notify.windows.com",
)
"""Hosts of the browsers' push services (Chrome, Firefox, Safari, Edge); each also by its subdomains."""

PUSH_ENDPOINT = rf"https://([a-z0-9-]+\.)*({'|'.join(map(re.escape, PUSH_SERVICES))})/[!-~]+"
"""No other host is ever sent a request because an account names it."""


class HomeSubmission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the holder lives: free text, coordinates, or both."""

    location: Annotated[str, Meta(max_length=200, pattern=NO_CONTROL)] | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class PushSubmission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The device that notifications go to: `fcm_token`, or a browser's `endpoint`, `p256dh` and `auth`."""

    fcm_token: Annotated[str, Meta(min_length=16, max_length=4096, pattern=r"^[A-Za-z0-9_:.-]+\Z")] | None = None
    endpoint: Annotated[str, Meta(max_length=1024)] | None = None
    p256dh: Annotated[str, Meta(min_length=80, max_length=100, pattern=r"^[A-Za-z0-9_-]+=*\Z")] | None = None
    auth: Annotated[str, Meta(min_length=16, max_length=32, pattern=r"^[A-Za-z0-9_-]+=*\Z")] | None = None


class AccountSubmission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `PUT /accounts/{user_id}`; what is left out takes its default."""

    user_id: Identifier | None = None
    name: Text | None = None
    phone_number: Annotated[str, Meta(max_length=32, description="E.164, such as +12065550100")] | None = None
    email: Annotated[str, Meta(max_length=254)] | None = None
    language: Annotated[str, Meta(min_length=2, max_length=2, pattern=r"^[a-z]{2}\Z", description="ISO 639-1")] = "en"
    time_zone: Annotated[str, Meta(max_length=64, description="IANA name, such as America/Chicago")] = "UTC"
    currency: Currency = "USD"
    home: HomeSubmission | None = None
    push: PushSubmission | None = None
    channels: Annotated[tuple[str, ...], Meta(max_length=8)] | None = None
    consent: bool | None = None


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def parse_phone_number(text: str) -> str:
    """Return a telephone number in E.164; raises ValueError with a sentence for the sender."""
    if not re.fullmatch(r"\+[0-9 ().-]{5,30}", text, re.ASCII):
        raise ValueError(_PHONE_NUMBER_WANTED)
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as error:
        raise ValueError(_PHONE_NUMBER_WANTED) from error
    if number.extension or not phonenumbers.is_valid_number(number):
        raise ValueError("is not a number that its country gives out")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def check_account_submission(submission: AccountSubmission, user_id: str) -> None:
    """Check what types alone cannot say, for the account of the request's path; raises InvalidInput."""
    problems = list(_faults(submission, user_id))
    if problems:
        raise InvalidInput(problems)


def _faults(submission: AccountSubmission, user_id: str) -> Iterator[Problem]:
    if submission.user_id not in (None, user_id):
        yield Problem("/user_id", "must be the id in the path, or be left out")
    if submission.name is not None and contains_card_number(submission.name):
        yield Problem("/name", CARD_NUMBER_REFUSED)
    if submission.phone_number is not None:
        try:
            parse_phone_number(submission.phone_number)
        except ValueError as error:
            yield Problem("/phone_number", str(error))
    yield from _email_faults(submission.email)
    if submission.time_zone not in _time_zones():
        yield Problem("/time_zone", "must be the name of an IANA time zone, such as America/Chicago")
    if submission.currency not in MINOR_DIGITS:
        yield Problem("/currency", "is not the code of an active ISO 4217 currency, such as USD")
    yield from _push_faults(submission.push)
    yield from _home_faults(submission.home or HomeSubmission())
    for position, channel in enumerate(submission.channels or ()):
        if channel not in CHANNELS:
            yield Problem(f"/channels/{position}", f"must be one of {', '.join(CHANNELS)}")


def _email_faults(email: str | None) -> Iterator[Problem]:
    if email is not None and not _EMAIL.fullmatch(email):
        yield Problem("/email", "must be an e-mail address")
    if email is not None and contains_card_number(email):
        yield Problem("/email", CARD_NUMBER_REFUSED)


def _push_faults(push: PushSubmission | None) -> Iterator[Problem]:
    if push is None:
        return
    web = (push.endpoint, push.p256dh, push.auth)
    if (push.fcm_token is None) == (None in web) or (push.fcm_token is not None and web != (None, None, None)):
        yield Problem("/push", "must hold fcm_token alone, or endpoint, p256dh and auth together")
    if push.endpoint is not None and not re.fullmatch(PUSH_ENDPOINT, push.endpoint):
        yield Problem("/push/endpoint", f"must be an https address of a push service: {', '.join(PUSH_SERVICES)}")


def _home_faults(home: HomeSubmission) -> Iterator[Problem]:
    if (home.latitude is None) != (home.longitude is None):
        missing = "latitude" if home.latitude is None else "longitude"
        yield Problem(f"/home/{missing}", "is needed beside the other coordinate")
    if home.location is not None and contains_card_number(home.location):
        yield Problem("/home/location", CARD_NUMBER_REFUSED)
