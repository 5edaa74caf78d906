"""A column of times as milliseconds since 1970: whole columns at once where they are plain, one by one where not.

`fields.milliseconds` says what a time is. Columns of dates, numbers and the usual texts are read without it, with the
same result; every other value goes through it.
"""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cardwatch.learning.fields import INSTANT_END_MS, milliseconds
from cardwatch.learning.tables import require_polars

if TYPE_CHECKING:
    import polars as pl

Ints: TypeAlias = NDArray[np.int64]

ABSENT, KNOWN, UNREADABLE = 0, 1, 2
"""What a column says of a row's time: nothing, an instant, or something that is none."""

_PLAIN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{3,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?$"
)
"""RFC 3339, with or without its offset: what the positions below are right for."""

_DAY_MS = 86_400_000


def instants(column: "pl.Series") -> tuple[Ints, Ints]:
    """Return the milliseconds of each row (0 where there are none) and whether they are ABSENT, KNOWN or UNREADABLE."""
    pl = require_polars()
    dtype = column.dtype
    if dtype == pl.String:
        times_ms, readable = _of_texts(column)
        absent = (column.is_null() | (column == "").fill_null(value=False)).to_numpy()
    else:
        times_ms, readable = _of_values(column)
        absent = column.is_null().to_numpy()
    known = readable & ~absent & (times_ms >= 0) & (times_ms < INSTANT_END_MS)
    found = np.where(absent, ABSENT, np.where(known, KNOWN, UNREADABLE)).astype(np.int64)
    return np.where(known, times_ms, 0), found


def _of_values(column: "pl.Series") -> tuple[Ints, NDArray[np.bool_]]:
    """Milliseconds of a column that holds no text, and where they could be told."""
    pl = require_polars()
    dtype, present = column.dtype, column.is_not_null().to_numpy()
    if dtype == pl.Date:
        return _integers(column) * _DAY_MS, present
    if isinstance(dtype, pl.Datetime):
        per_ms = {"ms": 1, "us": 1_000, "ns": 1_000_000}[dtype.time_unit]
        return _integers(column) // per_ms, present
    if dtype.is_float():
        seconds = column.cast(pl.Float64).fill_null(0).to_numpy()
        inside = np.isfinite(seconds) & (seconds > -1) & (seconds < INSTANT_END_MS / 1000)
        return np.rint(np.where(inside, seconds, 0.0) * 1000).astype(np.int64), present & inside
    if dtype == pl.Boolean or dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        inside = whole.is_between(0, INSTANT_END_MS // 1000).fill_null(value=False).to_numpy()
        return np.where(inside, _integers(whole), 0) * 1000, inside
    return _one_by_one(column)


def _of_texts(column: "pl.Series") -> tuple[Ints, NDArray[np.bool_]]:
    """Milliseconds of a column of texts, and where they could be told."""
    pl = require_polars()
    text = pl.col("text")
    length = text.str.len_bytes()
    fraction = text.str.slice(19, 1) == "."
    zoned = (length > 19) & text.str.slice(-6, 1).is_in(["+", "-"])
    minutes = text.str.slice(-5, 2).cast(pl.Int64, strict=False) * 60 + text.str.slice(-2, 2).cast(
        pl.Int64, strict=False
    )
    offset_ms = pl.when(text.str.slice(-6, 1) == "+").then(minutes).otherwise(-minutes) * 60_000
    day_and_time = pl.concat_str(text.str.slice(0, 10), pl.lit(" "), text.str.slice(11, 8))
    second = day_and_time.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="ms")
    milli = pl.when(fraction).then(text.str.slice(20, 3).cast(pl.Int64, strict=False)).otherwise(0)
    plain = pl.DataFrame({"text": column}).select(
        ms=pl.when(text.str.contains(_PLAIN)).then(
            second.cast(pl.Int64) + milli - pl.when(zoned).then(offset_ms).otherwise(0)
        )
    )["ms"]
    read = plain.is_not_null().to_numpy()
    times_ms = _integers(plain)
    left = np.flatnonzero(~read & column.is_not_null().to_numpy())
    if len(left):
        times_ms[left], read[left] = _one_by_one(column.gather(left))
    return times_ms, read


def _one_by_one(column: "pl.Series") -> tuple[Ints, NDArray[np.bool_]]:
    """Milliseconds by `fields.milliseconds`, once for every distinct value where values can be compared."""
    found = [milliseconds(value) for value in column.to_list()]
    return (
        np.array([0 if time_ms is None else time_ms for time_ms in found], dtype=np.int64),
        np.array([time_ms is not None for time_ms in found], dtype=np.bool_),
    )


def _integers(column: "pl.Series") -> Ints:
    """Return a column's integers as a writable array, 0 where they are missing."""
    pl = require_polars()
    return np.array(column.to_physical().cast(pl.Int64).fill_null(0).to_numpy(), dtype=np.int64)
