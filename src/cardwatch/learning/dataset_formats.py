"""Which column of a file holds what, for each format that can be read.

A format of one's own is a JSON object from the fields below to column names (`--map`).
"""

from collections.abc import Collection
from pathlib import Path

import msgspec

from cardwatch.domain.errors import InvalidInput

REQUIRED = ("transaction_id", "user_id", "amount", "merchant", "timestamp")

OPTIONAL = (
    "currency",
    "account_currency",
    "merchant_id",
    "location",
    "latitude",
    "longitude",
    "country",
    "category",
    "mcc",
    "channel",
    "device_id",
    "merchant_latitude",
    "merchant_longitude",
    "home_location",
    "home_latitude",
    "home_longitude",
    "home_region",
    "time_zone",
    "label",
    "label_source",
    "label_available_at",
)
"""Times are RFC 3339, "YYYY-MM-DD HH:MM:SS" (taken as UTC), or seconds since 1970; labels fraud, genuine, 1, 0."""

TIMES = ("timestamp", "label_available_at")
"""Fields that hold times; every other is read as text."""


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """A way that payments are written down in columns."""

    name: str
    columns: dict[str, str]
    """Field -> column; every field of `REQUIRED` is there."""
    optional: frozenset[str] = frozenset()
    """Fields whose columns may be missing from a file."""
    merchant_prefix: str = ""
    """What every merchant's name begins with and does not mean."""
    tokenised: bool = False
    """The user ids are full card numbers and always tokenised."""

    def fields_in(self, present: Collection[str]) -> dict[str, str]:
        """Return field -> column for the columns that a file has."""
        return {field: column for field, column in self.columns.items() if column in present}


def _same_names(fields: tuple[str, ...]) -> dict[str, str]:
    return {field: field for field in fields}


FORMATS: dict[str, Format] = {
    # Fraud Detection Handbook, simulated-data-raw.
    "handbook": Format(
        name="handbook",
        columns={
            "transaction_id": "TRANSACTION_ID",
            "timestamp": "TX_DATETIME",
            "user_id": "CUSTOMER_ID",
            "merchant": "TERMINAL_ID",
            "amount": "TX_AMOUNT",
            "label": "TX_FRAUD",
        },
        optional=frozenset({"label"}),
    ),
    # The Sparkov generator, as Kaggle's fraudTrain.csv ships it. Its unix_time is not read: in Kaggle's files it lies
    # seven years before trans_date_trans_time.
    "sparkov": Format(
        name="sparkov",
        columns={
            "transaction_id": "trans_num",
            "timestamp": "trans_date_trans_time",
            "user_id": "cc_num",
            "merchant": "merchant",
            "amount": "amt",
            "category": "category",
            "home_location": "city",
            "home_region": "state",
            "home_latitude": "lat",
            "home_longitude": "long",
            "merchant_latitude": "merch_lat",
            "merchant_longitude": "merch_long",
            "label": "is_fraud",
        },
        optional=frozenset({"label", "category"}),
        merchant_prefix="fraud_",
        tokenised=True,
    ),
    # What `cardwatch export` writes.
    "cardwatch": Format(
        name="cardwatch",
        columns={**_same_names(REQUIRED), **_same_names(OPTIONAL), "label_available_at": "available_at"},
        optional=frozenset(OPTIONAL),
    ),
}


def read_map(path: Path) -> Format:
    """Read a column map: a JSON object from fields to columns; every column it names must then be in the file.

    Raises InvalidInput with one line when it cannot be read, names an unknown field or lacks a required one.
    """
    try:
        columns = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except OSError as error:
        raise InvalidInput.at("", f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise InvalidInput.at("", f"{path}: is no JSON object from fields to column names: {error}") from None
    unknown = [field for field in columns if field not in REQUIRED + OPTIONAL]
    if unknown:
        known = ", ".join(REQUIRED + OPTIONAL)
        raise InvalidInput.at("", f"{path}: {unknown[0]} is no field; there are {known}")
    missing = [field for field in REQUIRED if field not in columns]
    if missing:
        raise InvalidInput.at("", f"{path}: the field {missing[0]} needs a column")
    return Format(name=path.name, columns=columns)
