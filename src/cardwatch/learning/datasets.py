"""History from files: rows of any known format, checked one by one, in order of (time, id).

A bad row becomes a `Rejected` with its reason and stops nothing. Full card numbers never come through: where the
format says that user ids are card numbers, and wherever an id holds one, it becomes a token by keyed HMAC (a bare hash
could be undone by trying all numbers); a row with one in free text is rejected.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import msgspec

from cardwatch.domain.account import Account, Home
from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.label import LabelSource
from cardwatch.domain.money import MINOR_DIGITS, Money, parse_amount
from cardwatch.domain.place import Place, place_at
from cardwatch.domain.times import utc_offset_s
from cardwatch.domain.transaction import Transaction
from cardwatch.learning.dataset_formats import REQUIRED, Format
from cardwatch.learning.tables import Table
from cardwatch.ports import Gazetteer
from cardwatch.services.record_transaction import normalised_merchant

_LABELS = {"fraud": True, "genuine": False, "1": True, "0": False, "1.0": True, "0.0": False, "": None}
_LABELS |= {"true": True, "false": False}
_ID_LENGTH_MAX, _TEXT_LENGTH_MAX = 64, 200
_SHORT = ("transaction_id", "user_id", "merchant_id", "category", "channel", "mcc", "currency", "country")
_FREE_TEXT = ("merchant", "location", "category", "channel", "transaction_id", "home_location")


class Rejected(msgspec.Struct, frozen=True):
    """A row that was not taken: its number in the file, from 1 after the header, and why. Never repeats values."""

    row: int
    reason: str


class Tokens:
    """Turns card numbers into tokens with a secret key: the same card gives the same token under the same key."""

    def __init__(self, key: bytes) -> None:
        """Keep the key; raises ValueError when it is shorter than 16 bytes."""
        if len(key) < 16:
            raise ValueError("the key for card tokens must have at least 16 bytes")
        self.token = lru_cache(maxsize=100_000)(lambda number: _token(key, number))


def _token(key: bytes, number: str) -> str:
    digits = "".join(character for character in number if character.isdigit())
    return "card_" + hmac.new(key, digits.encode(), hashlib.sha256).hexdigest()[:32]


class Dataset:
    """A file of payments, opened and found to have the right columns."""

    def __init__(self, path: Path, layout: Format, *, tokens: Tokens, gazetteer: Gazetteer | None = None) -> None:
        """Read the columns; with a gazetteer, locations without coordinates are resolved as live ones are.

        Raises InvalidInput with one line when the file cannot be read or lacks a column.
        """
        required = [column for field, column in layout.columns.items() if field not in layout.optional]
        self._table = Table(path, wanted=tuple(layout.columns.values()), required=required)
        fields = {column: field for field, column in layout.columns.items()}
        self._fields = tuple(fields[column] for column in self._table.columns)
        self._layout, self._tokens, self._gazetteer = layout, tokens, gazetteer
        self._times = [_milliseconds_or_none(value) for value in self._table.column(layout.columns["timestamp"])]

    def __len__(self) -> int:
        return len(self._table)

    @property
    def notice(self) -> str | None:
        """One line about the columns that are not read, None if there are none."""
        ignored = self._table.ignored
        return f"{self._table.path}: not read: {', '.join(ignored)}" if ignored else None

    def __iter__(self) -> Iterator[HistoryRow | Rejected]:
        """Yield rows in order of (time, id); rows without a readable time come first, as rejected."""
        for number, values in self._table.rows(self._order()):
            time_ms = self._times[number - 1]
            if time_ms is None:
                yield Rejected(number, "timestamp is no date and time that exists")
                continue
            try:
                yield self._row(dict(zip(self._fields, values, strict=True)), time_ms)
            except ValueError as error:
                yield Rejected(number, str(error))

    def _order(self) -> list[int]:
        ids = [str(value) for value in self._table.column(self._layout.columns["transaction_id"])]
        times = [-1 if time_ms is None else time_ms for time_ms in self._times]
        return sorted(range(len(ids)), key=lambda at: (times[at], ids[at]))

    def _row(self, values: dict[str, Any], time_ms: int) -> HistoryRow:
        texts = {field: _text(value) for field, value in values.items() if field != "timestamp"}
        for field in REQUIRED:
            if field != "timestamp" and not texts.get(field):
                raise ValueError(f"{field} is missing")
        _check(texts, tokenised=self._layout.tokenised)
        account = self._account(texts)
        return HistoryRow(
            transaction=self._transaction(texts, account, time_ms),
            account=account,
            is_fraud=_label(texts.get("label", "")),
            label_available_ms=_available(values.get("label_available_at")),
            label_source=_known_source(texts.get("label_source", "")),
        )

    def _transaction(self, texts: dict[str, str], account: Account, time_ms: int) -> Transaction:
        merchant = texts["merchant"].removeprefix(self._layout.merchant_prefix)
        currency = texts.get("currency") or account.currency
        location = texts.get("location") or None
        return Transaction(
            transaction_id=texts["transaction_id"],
            user_id=account.user_id,
            amount=_money(texts["amount"], currency),
            merchant=merchant,
            merchant_id=self._safe_id(texts.get("merchant_id", "")) or normalised_merchant(merchant),
            timestamp_ms=time_ms,
            received_at_ms=time_ms,
            fingerprint=_fingerprint(texts, time_ms),
            account_currency=account.currency,
            utc_offset_s=utc_offset_s(account.time_zone, time_ms),
            location=location,
            place=self._place(texts, location),
            merchant_place=_point(texts, "merchant_latitude", "merchant_longitude", None, None),
            country=texts.get("country") or None,
            category=texts.get("category") or None,
            mcc=texts.get("mcc") or None,
            channel=texts.get("channel") or None,
            device_id=self._safe_id(texts.get("device_id", "")) or None,
        )

    def _account(self, texts: dict[str, str]) -> Account:
        city, region = texts.get("home_location", ""), texts.get("home_region", "")
        location = f"{city}, {region}" if city and region else city or None
        user_id = texts["user_id"]
        return Account(
            user_id=self._tokens.token(user_id) if self._layout.tokenised else self._safe_id(user_id),
            currency=_known_currency(texts.get("account_currency") or texts.get("currency") or "USD"),
            time_zone=_known_zone(texts.get("time_zone") or "UTC"),
            home=Home(location=location, place=_point(texts, "home_latitude", "home_longitude", city or None, None)),
        )

    def _place(self, texts: dict[str, str], location: str | None) -> Place | None:
        country = texts.get("country") or None
        point = _point(texts, "latitude", "longitude", location, country)
        if point is None and location is not None and self._gazetteer is not None:
            return self._gazetteer.resolve(location, country=country)
        return point

    def _safe_id(self, value: str) -> str:
        return self._tokens.token(value) if contains_card_number(value) else value


def usable_rows(dataset: Dataset, *, reject: Callable[[Rejected], object]) -> Iterator[HistoryRow]:
    """Yield the rows that were taken; `reject` hears of each one that was not."""
    for row in dataset:
        if isinstance(row, Rejected):
            reject(row)
        else:
            yield row


def _check(texts: dict[str, str], *, tokenised: bool) -> None:
    """Raise ValueError for texts that are too long or hold a full card number where none may be."""
    for field, text in texts.items():
        if len(text) > (_ID_LENGTH_MAX if field in _SHORT else _TEXT_LENGTH_MAX):
            raise ValueError(f"{field} is too long")
        if field in _FREE_TEXT and contains_card_number(text):
            raise ValueError(f"{field} holds a full card number")
    if tokenised and not texts["user_id"].isdigit():
        raise ValueError("user_id is no card number")


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _money(text: str, currency: str) -> Money:
    _known_currency(currency)
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


def _known_currency(code: str) -> str:
    if code not in MINOR_DIGITS:
        raise ValueError("currency is not the code of an active ISO 4217 currency")
    return code


@lru_cache
def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("time_zone is no IANA name such as America/Chicago")
    return name


def _known_source(text: str) -> str | None:
    if text and text not in frozenset(LabelSource):
        raise ValueError(f"label_source must be one of {', '.join(LabelSource)}")
    return text or None


def _point(
    texts: dict[str, str], latitude_field: str, longitude_field: str, name: str | None, country: str | None
) -> Place | None:
    latitude, longitude = texts.get(latitude_field), texts.get(longitude_field)
    if not latitude or not longitude:
        return None
    try:
        return _cached_place(float(latitude), float(longitude), name, country)
    except ValueError:
        raise ValueError(f"{latitude_field} and {longitude_field} are no point on Earth") from None


@lru_cache(maxsize=10_000)
def _cached_place(latitude: float, longitude: float, name: str | None, country: str | None) -> Place:
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError
    return place_at(latitude, longitude, name=name, country=country)


def _label(text: str) -> bool | None:
    try:
        return _LABELS[text.casefold()]
    except KeyError:
        raise ValueError("label must be fraud, genuine, 1 or 0") from None


def _available(value: object) -> int | None:
    if value is None or value == "":
        return None
    time_ms = _milliseconds_or_none(value)
    if time_ms is None:
        raise ValueError("label_available_at is no date and time that exists")
    return time_ms


def _milliseconds_or_none(value: object) -> int | None:
    """Read a time as files hold it; without an offset it is UTC, a number is seconds since 1970."""
    try:
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
        return round(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _fingerprint(texts: dict[str, str], time_ms: int) -> str:
    """Hash what identifies a row as the same again; what a card number was in is left out."""
    parts = [str(time_ms), texts["amount"], texts["merchant"], texts.get("location", "")]
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()
