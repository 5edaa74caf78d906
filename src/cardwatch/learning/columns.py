"""A file of payments as columns of integers, a batch of rows after another: what compiled replay takes.

A row becomes the same integers as `encode(payment_event(...))` gives for the same row of `Dataset`, and is refused
for the same reason: every value goes through the same function of `fields`, once for each distinct value of a batch.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from cardwatch.domain.account import Account, Home
from cardwatch.domain.money import Money
from cardwatch.domain.times import utc_offset_s
from cardwatch.domain.transaction import Transaction
from cardwatch.features.encode import FIELDS, NIGHT_HOURS, Encoded, encode
from cardwatch.features.event import payment_event
from cardwatch.features.spec import DAY_S, HOUR_S
from cardwatch.learning import fields
from cardwatch.learning.coded import Coded, coded, combined, constant
from cardwatch.learning.dataset_formats import REQUIRED, TIMES, Format
from cardwatch.learning.datasets import Rejected
from cardwatch.learning.fields import Tokens, text_of
from cardwatch.learning.frames import BATCH_ROWS, Batch, Keys, payment_frame
from cardwatch.learning.instants import ABSENT, KNOWN, UNREADABLE, Ints, instants
from cardwatch.learning.offline.work import file_identity
from cardwatch.learning.tables import Table, require_polars
from cardwatch.ports import Gazetteer

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

_QUARTER_HOUR_MS = 900_000
"""How long no zone changes its offset, as `utc_offset_s` says."""

_OF_AMOUNT = ("own", "amount", "scale", "small")
_OF_MERCHANT = ("merchant_hash", "merchant_bit")
_OF_DEVICE = ("device_hash",)
_OF_ACCOUNT = ("account_bit",)
_OF_HOME = ("homed", "home_x", "home_y", "home_z")
_OF_PLACE = ("placed", "place_hash", "x", "y", "z", "country_hash", "unresolved")
"""Integers of a payment that depend on nothing but its amount and currencies, its merchant, and so on; the others
depend on its time."""

_BLANK = Transaction(
    transaction_id="",
    user_id="",
    amount=Money(1, "USD"),
    merchant="",
    merchant_id="",
    timestamp_ms=0,
    received_at_ms=0,
    fingerprint="",
    account_currency="USD",
    utc_offset_s=0,
)
"""A payment of which only the part that is looked at is filled in."""


class PaymentColumns:
    """A file of payments, opened and found to have the right columns."""

    def __init__(self, path: Path, layout: Format, *, tokens: Tokens, gazetteer: Gazetteer | None = None) -> None:
        """Look at the columns' names; raises InvalidInput as `Dataset` does."""
        self.path = path
        self._table = Table.of_format(path, layout)
        self._layout, self._tokens, self._gazetteer = layout, tokens, gazetteer

    def __len__(self) -> int:
        """Return the number of rows, which are counted again at every call."""
        return self._table.count()

    @property
    def notice(self) -> str | None:
        """One line about the columns that are not read, None if there are none."""
        return self._table.notice

    def identity(self) -> dict[str, object]:
        """Return what everything that is read depends on: the file, the format, the key of tokens, places by text."""
        return {
            "file": file_identity(self.path),
            "format": self._layout,
            "tokens": self._tokens.token("0"),
            "places": self._gazetteer is not None,
        }

    def batches(self, keys: Keys, *, rows: int = BATCH_ROWS, skip: int = 0) -> Iterator[Batch]:
        """Yield the file's rows that many at a time, without the first `skip`; raises InvalidInput if it is damaged."""
        first = skip + 1
        for frame in self._table.batches(rows, skip=skip):
            yield _Rows(frame, first, self._layout, self._tokens, self._gazetteer).batch(keys)
            first += frame.height


class _Refusals:
    """Which rows are refused, each for the first reason that was found."""

    def __init__(self, rows: int) -> None:
        self._reasons: list[str] = [""]
        self._of_rows = np.zeros(rows, dtype=np.int64)

    @property
    def taken(self) -> NDArray[np.bool_]:
        taken: NDArray[np.bool_] = self._of_rows == 0
        return taken

    def refuse(self, rows: NDArray[np.bool_], reason: str) -> None:
        """Refuse rows that were not refused before."""
        self._reasons.append(reason)
        self._of_rows[rows & self.taken] = len(self._reasons) - 1

    def attempt(self, function: Callable[..., T], *columns: Coded[Any]) -> Coded[T | None]:
        """Apply a function to columns; a row for which it raises ValueError is refused with the error's words."""
        together = combined(*columns)
        results: list[T | None] = []
        faults = np.zeros(len(together.values), dtype=np.int64)
        for at, values in enumerate(together.values):
            try:
                results.append(function(*values))
            except ValueError as error:
                results.append(None)
                self._reasons.append(str(error))
                faults[at] = len(self._reasons) - 1
        if faults.any():
            found = faults[together.codes]
            self._of_rows = np.where(self.taken, found, self._of_rows)
        return Coded(together.codes, results)

    def rejected(self, first: int) -> list[Rejected]:
        """Return the refused rows, numbered from `first`."""
        refused = np.flatnonzero(self._of_rows)
        reasons = self._of_rows[refused].tolist()
        return [Rejected(first + at, self._reasons[code]) for at, code in zip(refused.tolist(), reasons, strict=True)]


class _Rows:
    """Some rows of a file on their way to integers: checked in the order in which `Dataset` checks a row."""

    def __init__(
        self, frame: "pl.DataFrame", first: int, layout: Format, tokens: Tokens, gazetteer: Gazetteer | None
    ) -> None:
        self._height, self._first = frame.height, first
        self._layout, self._tokens, self._gazetteer = layout, tokens, gazetteer
        present = layout.fields_in(frame.columns)
        self._texts: dict[str, Coded[str]] = {
            field: coded(frame[column]).map(text_of) for field, column in present.items() if field not in TIMES
        }
        absent: tuple[Ints, Ints] = np.zeros(frame.height, dtype=np.int64), np.full(frame.height, ABSENT)
        timestamps, availables = (instants(frame[present[name]]) if name in present else absent for name in TIMES)
        self._time_ms, self._timed = timestamps
        self._available_ms, self._available = availables
        self._refusals = _Refusals(frame.height)

    def batch(self, keys: Keys) -> Batch:
        """Return the rows that can be taken as integers, and the others with their reasons."""
        self._check()
        columns = {**self._account(keys), **self._payment(keys), **self._labels()}
        taken = self._refusals.taken
        frame = payment_frame(columns).filter(taken)
        return Batch(frame, self._refusals.rejected(self._first), self._height)

    def _text(self, field: str) -> Coded[str]:
        return self._texts.get(field) or constant("", self._height)

    def _check(self) -> None:
        """Refuse rows without a time, without a required field, and with texts that may not be."""
        refuse, texts = self._refusals.refuse, self._texts
        refuse(self._timed != KNOWN, fields.NO_TIME)
        for field in REQUIRED:
            if field not in TIMES:
                refuse(texts[field].flags(lambda text: not text), f"{field} is missing")
        for field, column in texts.items():
            self._refusals.attempt(_text_checker(field), column)
        if self._layout.tokenised:
            refuse(texts["user_id"].flags(lambda text: not text.isdigit()), fields.NO_CARD_NUMBER)

    def _account(self, keys: Keys) -> dict[str, object]:
        """Columns that the account decides: its key, home, currency and local time."""
        attempt, text = self._refusals.attempt, self._text
        users = text("user_id").map(lambda user: fields.user_key(user, self._tokens, tokenised=self._layout.tokenised))
        self._currencies = attempt(fields.account_currency, text("account_currency"), text("currency"))
        zones = attempt(fields.known_zone, text("time_zone"))
        homes = attempt(fields.home_place, text("home_latitude"), text("home_longitude"), text("home_location"))
        quarters = coded(_series(self._time_ms // _QUARTER_HOUR_MS))
        offset_s = combined(zones, quarters).integers(
            lambda found: utc_offset_s(found[0] or "UTC", found[1] * _QUARTER_HOUR_MS)
        )
        time_s = self._time_ms // 1000
        local_s = time_s + offset_s
        return {
            "account": keys.codes("account", users),
            "time": time_s,
            "local": local_s,
            "night": (local_s % DAY_S < NIGHT_HOURS * HOUR_S).astype(np.int64),
            **_parts(_OF_ACCOUNT, users.map(lambda user: encoded_part(user_id=user))),
            **_parts(
                _OF_HOME, homes.map(lambda home: encoded_part(account=Account(user_id="", home=Home(place=home))))
            ),
        }

    def _payment(self, keys: Keys) -> dict[str, object]:
        """Columns that the payment itself decides: id, time, amount, merchant, place and device."""
        attempt, text = self._refusals.attempt, self._text
        prefix = self._layout.merchant_prefix
        currencies = combined(text("currency"), self._currencies).map(lambda found: found[0] or found[1] or "")
        amounts = attempt(fields.money, text("amount"), currencies).map(lambda amount: amount or _BLANK.amount)
        merchants = combined(text("merchant_id"), text("merchant")).map(
            lambda found: fields.merchant_key(found[0], found[1].removeprefix(prefix), self._tokens)
        )
        devices = text("device_id").map(lambda device: self._tokens.safe_id(device) or None)
        own = combined(amounts, self._currencies).map(
            lambda found: encoded_part(amount=found[0], account_currency=found[1] or "")
        )
        return {
            "row": np.arange(self._first, self._first + self._height),
            "transaction_id": text("transaction_id").rows(),
            "time_ms": self._time_ms,
            "merchant": keys.codes("merchant", merchants),
            "device": keys.codes("device", devices),
            "amount_minor": amounts.integers(lambda amount: amount.minor),
            "currency": amounts.map(lambda amount: amount.currency).rows(),
            **_parts(_OF_AMOUNT, own),
            **_parts(_OF_MERCHANT, merchants.map(lambda merchant: encoded_part(merchant_id=merchant))),
            **_parts(_OF_DEVICE, devices.map(lambda device: encoded_part(device_id=device))),
            **self._place(),
        }

    def _place(self) -> dict[str, Ints]:
        """Columns that say where a payment was made."""
        attempt, text = self._refusals.attempt, self._text
        locations = text("location").map(lambda location: location or None)
        countries = text("country").map(lambda country: country or None)
        places = attempt(
            lambda latitude, longitude, location, country: fields.paid_place(
                latitude, longitude, location, country, self._gazetteer
            ),
            text("latitude"),
            text("longitude"),
            locations,
            countries,
        )
        merchant_places = attempt(fields.merchant_place, text("merchant_latitude"), text("merchant_longitude"))
        together = combined(places, merchant_places, locations, countries).map(
            lambda found: encoded_part(place=found[0], merchant_place=found[1], location=found[2], country=found[3])
        )
        return _parts(_OF_PLACE, together)

    def _labels(self) -> dict[str, object]:
        """Columns of the label, checked last."""
        labels = self._refusals.attempt(fields.label, self._text("label"))
        self._refusals.refuse(self._available == UNREADABLE, fields.NO_AVAILABLE_TIME)
        self._refusals.attempt(fields.known_source, self._text("label_source"))
        fraud = labels.integers(lambda label: -1 if label is None else int(label))
        return {
            "fraud": _series(fraud, fraud >= 0),
            "available_ms": _series(self._available_ms, self._available == KNOWN),
        }


def encoded_part(*, account: Account | None = None, **given: Any) -> Encoded:
    """Return the integers of a payment of which only a part is given; those of the other parts mean nothing."""
    return encode(payment_event(structs.replace(_BLANK, **given), account))


def _parts(names: tuple[str, ...], payments: Coded[Encoded]) -> dict[str, Ints]:
    """Return some of the integers of each row's payment, by name."""
    positions = [FIELDS.index(name) for name in names]
    integers = np.array(payments.values, dtype=np.int64).reshape(len(payments.values), len(FIELDS))
    return {name: integers[:, at][payments.codes] for name, at in zip(names, positions, strict=True)}


def _text_checker(field: str) -> Callable[[str], None]:
    """Return a function that raises ValueError for a text that a field may not hold."""

    def check(text: str) -> None:
        if fault := fields.text_fault(field, text):
            raise ValueError(fault)

    return check


def _series(values: Ints, present: NDArray[np.bool_] | None = None) -> "pl.Series":
    """Return integers as a column, null where they are not present."""
    pl = require_polars()
    column = pl.Series(values)
    if present is not None:
        column = pl.select(pl.when(pl.Series(present)).then(column)).to_series()
    return column  # type: ignore[no-any-return]  # polars is imported late
