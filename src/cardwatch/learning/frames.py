"""Payments as columns of integers: the frame that compiled replay takes, and the numbers that stand for keys."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from cardwatch.domain.history import HistoryRow
from cardwatch.features.encode import FIELDS, encode
from cardwatch.features.event import payment_event
from cardwatch.learning.coded import Coded
from cardwatch.learning.datasets import Rejected
from cardwatch.learning.instants import Ints
from cardwatch.learning.tables import require_polars

if TYPE_CHECKING:
    import polars as pl

BATCH_ROWS = 131_072
"""Rows in memory at a time while payments are read."""

KEYED = ("account", "merchant", "device")
"""Entities whose keys are columns; a pair is an account and a merchant."""

NO_KEY = -1

COLUMNS = ("row", "transaction_id", "time_ms", *KEYED, "fraud", "available_ms", "amount_minor", "currency")
"""What stands beside the integers of `encode.FIELDS`: number in the file from 1, id, milliseconds since 1970, numbers
of the keys (`NO_KEY` where there is none), label (1, 0 or null), from when on it was known (milliseconds since 1970,
null where the source does not say), amount in minor units of its currency."""


class Keys:
    """Gives each key of an entity a number of its own, from 0 in the order of first sight."""

    def __init__(self) -> None:
        """Know no key yet."""
        self.numbers: dict[str, dict[str, int]] = {entity: {} for entity in KEYED}

    def codes(self, entity: str, keys: Coded[str] | Coded[str | None]) -> Ints:
        """Return the number of each row's key, `NO_KEY` where the row has none."""
        known = self.numbers[entity]
        return keys.integers(lambda key: known.setdefault(key, len(known)) if key else NO_KEY)


@dataclass(frozen=True)
class Batch:
    """Rows of a file that follow each other."""

    frame: "pl.DataFrame"
    """The rows that were taken, with `COLUMNS` and `encode.FIELDS` as columns, in the file's order."""
    rejected: list[Rejected]
    """The others, in the file's order."""
    rows: int
    """How many rows of the file were read."""


class HistoryColumns:
    """Rows that are in memory (simulated ones) as columns, numbered from 1."""

    def __init__(self, rows: Iterable[HistoryRow]) -> None:
        """Take rows, which are read once."""
        self._rows = rows

    def batches(self, keys: Keys, *, rows: int = BATCH_ROWS, skip: int = 0) -> Iterator[Batch]:
        """Yield that many rows at a time, without the first `skip`."""
        following = islice(self._rows, skip, None)
        first = skip + 1
        while chunk := list(islice(following, rows)):
            yield Batch(_history_frame(chunk, first, keys), [], len(chunk))
            first += len(chunk)


def _history_frame(rows: Sequence[HistoryRow], first: int, keys: Keys) -> "pl.DataFrame":
    events = [payment_event(row.transaction, row.account) for row in rows]
    integers = np.array([encode(event) for event in events], dtype=np.int64).reshape(len(rows), len(FIELDS))
    paid = [row.transaction for row in rows]
    each = np.arange(len(rows))
    return payment_frame(
        {
            "row": each + first,
            "transaction_id": [payment.transaction_id for payment in paid],
            "time_ms": [payment.timestamp_ms for payment in paid],
            **{name: keys.codes(name, Coded(each, [getattr(event, name) for event in events])) for name in KEYED},
            "fraud": [None if row.is_fraud is None else int(row.is_fraud) for row in rows],
            "available_ms": [row.label_available_ms for row in rows],
            "amount_minor": [payment.amount.minor for payment in paid],
            "currency": [payment.amount.currency for payment in paid],
            **{name: integers[:, at] for at, name in enumerate(FIELDS)},
        }
    )


def payment_frame(columns: Mapping[str, object]) -> "pl.DataFrame":
    """Return columns (arrays or lists of one length) as a frame with the types and the order that all frames have."""
    pl = require_polars()
    types = {"transaction_id": pl.String, "currency": pl.String, "fraud": pl.Int8}
    return pl.DataFrame(  # type: ignore[no-any-return]  # polars is imported late
        [
            pl.Series(
                name,
                np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values,
                dtype=types.get(name, pl.Int64),
            )
            for name in (*COLUMNS, *FIELDS)
            for values in (columns[name],)
        ]
    )
