"""History from files: rows of any known format, checked one by one, in order of (time, id).

A bad row becomes a `Rejected` with its reason and stops nothing. Full card numbers never come through: where the
format says that user ids are card numbers, and wherever an id holds one, it becomes a token by keyed HMAC (a bare hash
could be undone by trying all numbers); a row with one in free text is rejected.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from cardwatch.domain.account import Account, Home
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.times import utc_offset_s
from cardwatch.domain.transaction import Transaction
from cardwatch.learning import fields
from cardwatch.learning.dataset_formats import REQUIRED, TIMES, Format
from cardwatch.learning.fields import Tokens, text_of
from cardwatch.learning.instants import ABSENT, KNOWN, instants
from cardwatch.learning.tables import Table
from cardwatch.ports import Gazetteer

__all__ = ["Dataset", "Rejected", "Tokens", "usable_rows"]


class Rejected(msgspec.Struct, frozen=True):
    """A row that was not taken: its number in the file, from 1 after the header, and why. Never repeats values."""

    row: int
    reason: str


class Dataset:
    """A file of payments, opened and found to have the right columns."""

    def __init__(self, path: Path, layout: Format, *, tokens: Tokens, gazetteer: Gazetteer | None = None) -> None:
        """Read the columns; with a gazetteer, locations without coordinates are resolved as live ones are.

        Raises InvalidInput with one line when the file cannot be read or lacks a column.
        """
        self._table = Table.of_format(path, layout)
        self._fields = layout.fields_in(self._table.columns)
        self._layout, self._tokens, self._gazetteer = layout, tokens, gazetteer
        self._times, self._availables = (self._instants(field) for field in TIMES)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def notice(self) -> str | None:
        """One line about the columns that are not read, None if there are none."""
        return self._table.notice

    def __iter__(self) -> Iterator[HistoryRow | Rejected]:
        """Yield rows in order of (time, id); rows without a readable time come first, as rejected."""
        texts = {field: column for field, column in self._fields.items() if field not in TIMES}
        for number, values in self._table.rows(self._order(), list(texts.values())):
            time_ms, found = self._times[number - 1]
            if found != KNOWN:
                yield Rejected(number, fields.NO_TIME)
                continue
            try:
                yield self._row(dict(zip(texts, map(text_of, values), strict=True)), time_ms, number)
            except ValueError as error:
                yield Rejected(number, str(error))

    def _instants(self, field: str) -> list[tuple[int, int]]:
        """Return (milliseconds, whether known) of each row's time; absent where the file has no such column."""
        if field not in self._fields:
            return [(0, ABSENT)] * len(self)
        times_ms, found = instants(self._table.column(self._fields[field]))
        return list(zip(times_ms.tolist(), found.tolist(), strict=True))

    def _order(self) -> list[int]:
        ids = [text_of(value) for value in self._table.column(self._fields["transaction_id"]).to_list()]
        times = [time_ms if found == KNOWN else -1 for time_ms, found in self._times]
        return sorted(range(len(ids)), key=lambda at: (times[at], ids[at]))

    def _row(self, texts: dict[str, str], time_ms: int, number: int) -> HistoryRow:
        for field in REQUIRED:
            if field not in TIMES and not texts.get(field):
                raise ValueError(f"{field} is missing")
        _check(texts, tokenised=self._layout.tokenised)
        account = self._account(texts)
        return HistoryRow(
            transaction=self._transaction(texts, account, time_ms),
            account=account,
            is_fraud=fields.label(texts.get("label", "")),
            label_available_ms=self._available(number),
            label_source=fields.known_source(texts.get("label_source", "")),
        )

    def _transaction(self, texts: dict[str, str], account: Account, time_ms: int) -> Transaction:
        merchant = texts["merchant"].removeprefix(self._layout.merchant_prefix)
        location, country = texts.get("location") or None, texts.get("country") or None
        latitude, longitude = texts.get("latitude", ""), texts.get("longitude", "")
        return Transaction(
            transaction_id=texts["transaction_id"],
            user_id=account.user_id,
            amount=fields.money(texts["amount"], texts.get("currency") or account.currency),
            merchant=merchant,
            merchant_id=fields.merchant_key(texts.get("merchant_id", ""), merchant, self._tokens),
            timestamp_ms=time_ms,
            received_at_ms=time_ms,
            fingerprint=fields.fingerprint(texts, time_ms),
            account_currency=account.currency,
            utc_offset_s=utc_offset_s(account.time_zone, time_ms),
            location=location,
            place=fields.paid_place(latitude, longitude, location, country, self._gazetteer),
            merchant_place=fields.merchant_place(
                texts.get("merchant_latitude", ""), texts.get("merchant_longitude", "")
            ),
            country=country,
            category=texts.get("category") or None,
            mcc=texts.get("mcc") or None,
            channel=texts.get("channel") or None,
            device_id=self._tokens.safe_id(texts.get("device_id", "")) or None,
        )

    def _account(self, texts: dict[str, str]) -> Account:
        city, region = texts.get("home_location", ""), texts.get("home_region", "")
        location = f"{city}, {region}" if city and region else city or None
        latitude, longitude = texts.get("home_latitude", ""), texts.get("home_longitude", "")
        return Account(
            user_id=fields.user_key(texts["user_id"], self._tokens, tokenised=self._layout.tokenised),
            currency=fields.account_currency(texts.get("account_currency", ""), texts.get("currency", "")),
            time_zone=fields.known_zone(texts.get("time_zone", "")),
            home=Home(location=location, place=fields.home_place(latitude, longitude, city)),
        )

    def _available(self, number: int) -> int | None:
        time_ms, found = self._availables[number - 1]
        if found not in (KNOWN, ABSENT):
            raise ValueError(fields.NO_AVAILABLE_TIME)
        return time_ms if found == KNOWN else None


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
        if fault := fields.text_fault(field, text):
            raise ValueError(fault)
    if tokenised and not texts["user_id"].isdigit():
        raise ValueError(fields.NO_CARD_NUMBER)
