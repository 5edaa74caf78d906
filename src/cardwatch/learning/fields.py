"""One field of a file at a time: what a text or number in it means, or a ValueError that says what is wrong.

The reader of rows calls these for every row, the reader of columns once for every distinct value; nothing else says
what a value means. No sentence repeats a value: it may be a card number.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import available_timezones

from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.label import LabelSource
from cardwatch.domain.money import MINOR_DIGITS, Money, parse_amount
from cardwatch.domain.place import Place, place_at
from cardwatch.ports import Gazetteer
from cardwatch.services.record_transaction import normalised_merchant

INSTANT_END_MS = 253_402_214_400_000
"""9999-12-31, exclusive: up to here every instant has its local time in every zone."""

NO_TIME = "timestamp is no date and time between 1970 and 9999"
NO_AVAILABLE_TIME = "label_available_at is no date and time between 1970 and 9999"
NO_CARD_NUMBER = "user_id is no card number"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LABELS = {"fraud": True, "genuine": False, "1": True, "0": False, "1.0": True, "0.0": False, "": None}
_LABELS |= {"true": True, "false": False}
_ID_LENGTH_MAX, _TEXT_LENGTH_MAX = 64, 200
_SHORT = ("transaction_id", "user_id", "merchant_id", "category", "channel", "mcc", "currency", "country")
_IDS = ("transaction_id", "user_id", "merchant_id", "merchant", "device_id")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FREE_TEXT = ("merchant", "location", "category", "channel", "transaction_id", "home_location")


class Tokens:
    """Turns card numbers into tokens with a secret key: the same card gives the same token under the same key."""

    def __init__(self, key: bytes) -> None:
        """Keep the key; raises ValueError when it is shorter than 16 bytes."""
        if len(key) < 16:
            raise ValueError("the key for card tokens must have at least 16 bytes")
        self.token = lru_cache(maxsize=100_000)(lambda number: _token(key, number))

    def safe_id(self, text: str) -> str:
        """Return an id as it is, or the token of the card number in it."""
        return self.token(text) if contains_card_number(text) else text


def _token(key: bytes, number: str) -> str:
    digits = "".join(character for character in number if character.isdigit())
    return "card_" + hmac.new(key, digits.encode(), hashlib.sha256).hexdigest()[:32]


def text_of(value: object) -> str:
    """Return a value as text without space around it; what is missing is empty."""
    return "" if value is None else str(value).strip()


def text_fault(field: str, text: str) -> str | None:
    """Return what is wrong with a field's text as such: too long, a control character in an id, a full card number."""
    if len(text) > (_ID_LENGTH_MAX if field in _SHORT else _TEXT_LENGTH_MAX):
        return f"{field} is too long"
    if field in _IDS and _CONTROL.search(text):
        return f"{field} holds a control character"
    if field in _FREE_TEXT and contains_card_number(text):
        return f"{field} holds a full card number"
    return None


def account_currency(own: str, paid_in: str) -> str:
    """Return the account's currency: the one given for it, else the payment's, else US dollars."""
    return known_currency(own or paid_in or "USD")


def known_currency(code: str) -> str:
    """Return a currency's code; raises ValueError when no card is charged in it."""
    if code not in MINOR_DIGITS:
        raise ValueError("currency is not the code of an active ISO 4217 currency")
    return code


def money(text: str, currency: str) -> Money:
    """Read an amount in major units; raises ValueError when it is none that can be paid."""
    known_currency(currency)
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError("amount is not a number") from None
    if amount.is_finite() and abs(amount) < Decimal(10) ** 14:
        # Binary floats leave dust ("1108.8500000000001"); what is a thousandth off a whole cent is an error, though.
        rounded = amount.quantize(Decimal(1).scaleb(-MINOR_DIGITS[currency]))
        amount = rounded if abs(rounded - amount) < Decimal("1e-6") else amount
    try:
        return parse_amount(amount, currency)
    except ValueError as error:
        raise ValueError(f"amount {error}") from None


def known_zone(name: str) -> str:
    """Return the time zone of a text, UTC of an empty one; raises ValueError for a zone that does not exist."""
    if name and name not in _zones():
        raise ValueError("time_zone is no IANA name such as America/Chicago")
    return name or "UTC"


@lru_cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def known_source(text: str) -> str | None:
    """Return who gave a label; raises ValueError for a source that does not exist."""
    if text and text not in frozenset(LabelSource):
        raise ValueError(f"label_source must be one of {', '.join(LabelSource)}")
    return text or None


def label(text: str) -> bool | None:
    """Return whether a payment was fraud, None where the text is empty; raises ValueError for any other text."""
    try:
        return _LABELS[text.casefold()]
    except KeyError:
        raise ValueError("label must be fraud, genuine, 1 or 0") from None


def merchant_key(merchant_id: str, merchant: str, tokens: Tokens) -> str:
    """Return the key of a merchant's history: the sender's id of it, else its normalised name."""
    return tokens.safe_id(merchant_id) or normalised_merchant(merchant)


def user_key(user_id: str, tokens: Tokens, *, tokenised: bool) -> str:
    """Return the account's id; where the format has card numbers there, always a token."""
    return tokens.token(user_id) if tokenised else tokens.safe_id(user_id)


def home_place(latitude: str, longitude: str, city: str) -> Place | None:
    """Return where a cardholder lives; raises ValueError as `point` does."""
    return point(latitude, longitude, fields="home_latitude and home_longitude", name=city or None)


def merchant_place(latitude: str, longitude: str) -> Place | None:
    """Return where a merchant is; raises ValueError as `point` does."""
    return point(latitude, longitude, fields="merchant_latitude and merchant_longitude")


def paid_place(
    latitude: str, longitude: str, location: str | None, country: str | None, gazetteer: Gazetteer | None
) -> Place | None:
    """Return where a payment was made: by its coordinates, else by its text; raises ValueError as `point` does."""
    found = point(latitude, longitude, fields="latitude and longitude", name=location, country=country)
    if found is None and location is not None and gazetteer is not None:
        return gazetteer.resolve(location, country=country)
    return found


def point(
    latitude: str, longitude: str, *, fields: str, name: str | None = None, country: str | None = None
) -> Place | None:
    """Return the place at two texts, None where one is empty; raises ValueError when they are no point on Earth."""
    if not latitude or not longitude:
        return None
    try:
        return _cached_place(float(latitude), float(longitude), name, country)
    except ValueError:
        raise ValueError(f"{fields} are no point on Earth") from None


@lru_cache(maxsize=10_000)
def _cached_place(latitude: float, longitude: float, name: str | None, country: str | None) -> Place:
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError
    return place_at(latitude, longitude, name=name, country=country)


def milliseconds(value: object) -> int | None:
    """Read a time as files hold it, None where it is none between 1970 and 9999.

    Without an offset it is UTC, a number is seconds since 1970; what is finer than a millisecond is cut off, but for
    seconds with a fraction, which are rounded.
    """
    try:
        time_ms = _milliseconds(value)
    except (ValueError, OverflowError):
        return None
    return time_ms if 0 <= time_ms < INSTANT_END_MS else None


def _milliseconds(value: object) -> int:
    if isinstance(value, int | float):
        return round(value * 1000)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        text = str(value).strip()
        if text.isdigit():
            return int(text) * 1000
        value = datetime.fromisoformat(text)
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def fingerprint(texts: Mapping[str, str], time_ms: int) -> str:
    """Hash what identifies a row as the same again; what a card number was in is left out."""
    parts = [str(time_ms), texts["amount"], texts["merchant"], texts.get("location", "")]
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()
