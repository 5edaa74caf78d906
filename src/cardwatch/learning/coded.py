"""Columns as codes and the distinct values they stand for, so that a Python function runs once per distinct value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cardwatch.learning.instants import Ints
from cardwatch.learning.tables import require_polars

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Coded(Generic[T]):
    """A column: row `i` holds `values[codes[i]]`."""

    codes: Ints
    values: list[T]

    def __len__(self) -> int:
        return len(self.codes)

    def map(self, function: Callable[[T], U]) -> "Coded[U]":
        """Apply a function to every distinct value."""
        return Coded(self.codes, [function(value) for value in self.values])

    def integers(self, function: Callable[[T], int]) -> Ints:
        """Return a function's integer for each row; the function runs once per distinct value."""
        return np.array([function(value) for value in self.values], dtype=np.int64)[self.codes]

    def flags(self, function: Callable[[T], object]) -> NDArray[np.bool_]:
        """Return whether a function says yes for each row; it runs once per distinct value."""
        return np.array([bool(function(value)) for value in self.values], dtype=np.bool_)[self.codes]

    def rows(self) -> list[T]:
        """Return the value of every row."""
        return [self.values[code] for code in self.codes.tolist()]


def constant(value: T, rows: int) -> Coded[T]:
    """Return a column that holds one value in every row."""
    return Coded(np.zeros(rows, dtype=np.int64), [value])


def coded(column: "pl.Series") -> Coded[Any]:
    """Return a column's Python values as polars gives them, each distinct one once.

    Values are the same only if their Python forms print the same: 0.0 and -0.0 stay apart.
    """
    pl = require_polars()
    if column.dtype.is_float():
        bits = pl.Series(column.cast(pl.Float64).fill_null(0).to_numpy().view(np.int64))
        present = pl.select(pl.when(column.is_not_null()).then(bits)).to_series()
        codes, distinct = _distinct(present)
        floats = distinct.fill_null(0).to_numpy().view(np.float64).tolist()
        return Coded(codes, [None if lost else value for value, lost in zip(floats, distinct.is_null(), strict=True)])
    if column.dtype == pl.String or column.dtype.is_integer() or column.dtype.is_temporal():
        codes, distinct = _distinct(column)
        return Coded(codes, distinct.to_list())
    return encoded(column.to_list())


def encoded(rows: Sequence[object]) -> Coded[Any]:
    """Return values of any kind as a coded column: same are those of one type that print the same."""
    known: dict[tuple[type, str], int] = {}
    values: list[object] = []
    codes = np.empty(len(rows), dtype=np.int64)
    for row, value in enumerate(rows):
        code = codes[row] = known.setdefault((type(value), str(value)), len(values))
        if code == len(values):
            values.append(value)
    return Coded(codes, values)


def combined(*columns: Coded[Any]) -> Coded[tuple[Any, ...]]:
    """Return several columns as one of tuples, of the combinations that occur."""
    return reduce(_joined, columns[1:], columns[0].map(lambda value: (value,)))


def _joined(left: Coded[tuple[Any, ...]], right: Coded[Any]) -> Coded[tuple[Any, ...]]:
    if len(right.values) == 1:
        return left.map(lambda value: (*value, right.values[0]))
    size = len(right.values)
    both, codes = np.unique(left.codes * size + right.codes, return_inverse=True)
    lefts, rights = (both // size).tolist(), (both % size).tolist()
    return Coded(codes, [(*left.values[a], right.values[b]) for a, b in zip(lefts, rights, strict=True)])


def _distinct(column: "pl.Series") -> tuple[Ints, "pl.Series"]:
    """Return each row's place among the distinct values, in order of their first row, and those values."""
    pl = require_polars()
    distinct = column.unique(maintain_order=True)
    places = pl.DataFrame({"value": distinct}).with_row_index("place")
    found = pl.DataFrame({"value": column}).join(
        places, on="value", how="left", nulls_equal=True, maintain_order="left"
    )
    return found["place"].cast(pl.Int64).to_numpy(), distinct
