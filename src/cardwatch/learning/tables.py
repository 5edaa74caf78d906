"""Files of payments as columns: csv, csv.gz and parquet in, parquet out, by polars.

Polars comes with `pip install 'cardwatch[train]'` and is imported on first use. Only the columns that are needed are
read, whole for those who need all rows at once, or a batch of rows after another.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cardwatch.domain.errors import InvalidInput, OperatingError
from cardwatch.learning.dataset_formats import Format

if TYPE_CHECKING:
    import polars as pl

CHUNK_ROWS = 20_000
_ROW_GROUP = 65_536
_CSV_ENDINGS = (".csv", ".csv.gz")


def require_polars() -> ModuleType:
    """Import polars; raises InvalidInput that names the extra when it is not installed."""
    try:
        import polars as pl  # noqa: PLC0415  heavy, and only in the extra "train"
    except ImportError:
        raise InvalidInput.at("", "reading and writing tables needs polars: pip install 'cardwatch[train]'") from None
    return pl


class Table:
    """Named columns of a file, all of one length; text as it stands in csv, typed values in parquet."""

    def __init__(self, path: Path, *, wanted: Sequence[str], required: Sequence[str]) -> None:
        """Find the wanted columns that the file has; raises InvalidInput when a required one is missing."""
        self.path = path
        present = _column_names(path)
        missing = [column for column in required if column not in present]
        if missing:
            raise InvalidInput.at("", f"{path}: the column {missing[0]} is missing (found: {', '.join(present[:12])})")
        self.columns = tuple(column for column in present if column in wanted)
        self.ignored = tuple(column for column in present if column not in wanted and column)
        """Columns of the file that nobody reads; Kaggle's nameless index is not worth a word."""

    @classmethod
    def of_format(cls, path: Path, layout: Format) -> "Table":
        """Open a file that a format describes; raises as the constructor does."""
        required = [column for field, column in layout.columns.items() if field not in layout.optional]
        return cls(path, wanted=tuple(layout.columns.values()), required=required)

    def __len__(self) -> int:
        return int(self._frame.height)

    @property
    def notice(self) -> str | None:
        """One line about the columns that are not read, None if there are none."""
        return f"{self.path}: not read: {', '.join(self.ignored)}" if self.ignored else None

    def count(self) -> int:
        """Return the number of rows without keeping any."""
        pl = require_polars()
        try:
            return int(self._scan().select(pl.len()).collect(engine="streaming").item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from None

    def column(self, name: str) -> "pl.Series":
        """Return the values of a column."""
        return self._frame[name]

    def rows(self, order: Sequence[int], columns: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield (number in the file from 1, values of the columns) of rows in an order, by chunks."""
        pl = require_polars()
        frame = self._frame.select([pl.col(column).alias(str(at)) for at, column in enumerate(columns)])
        for start in range(0, len(order), CHUNK_ROWS):
            numbers = order[start : start + CHUNK_ROWS]
            for number, values in zip(numbers, frame[list(numbers)].iter_rows(), strict=True):
                yield number + 1, values

    def batches(self, rows: int, *, skip: int = 0) -> Iterator["pl.DataFrame"]:
        """Yield the columns of that many rows after another in the file's order, without the first `skip` rows.

        Raises InvalidInput when the file turns out to be damaged.
        """
        pl = require_polars()
        scan = self._scan().slice(skip) if skip else self._scan()
        try:
            yield from scan.collect_batches(chunk_size=rows, maintain_order=True)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from None

    @cached_property
    def _frame(self) -> "pl.DataFrame":
        pl = require_polars()
        try:
            return self._scan().collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from None

    def _scan(self) -> "pl.LazyFrame":
        pl = require_polars()
        if self.path.suffix == ".parquet":
            scan = pl.scan_parquet(self.path, glob=False)
        else:
            scan = pl.scan_csv(self.path, infer_schema=False, truncate_ragged_lines=True, glob=False)
        return scan.select(self.columns)  # type: ignore[no-any-return]  # polars is imported late

    def _unreadable(self, error: Exception) -> InvalidInput:
        return InvalidInput.at("", f"{self.path}: cannot be read: {_first_line(error)}")


def write_parquet(path: Path, columns: Mapping[str, object]) -> None:
    """Write columns (lists or arrays of one length) as parquet; raises InvalidInput when the file cannot be written."""
    polars = require_polars()
    try:
        polars.DataFrame(dict(columns)).write_parquet(path)
    except OSError as error:
        raise InvalidInput.at("", f"{path}: cannot be written: {error}") from None


def stream_parquet(path: Path, floats: Sequence[str], frames: Iterator["pl.DataFrame"]) -> None:
    """Write frames of `transaction_id` and columns of float64 one after another; their sizes do not change the bytes.

    Raises OperatingError when the file cannot be written.
    """
    pl = require_polars()
    schema = {"transaction_id": pl.String, **dict.fromkeys(floats, pl.Float64)}
    source = pl.io.plugins.register_io_source(lambda *_: frames, schema=schema)
    try:
        # Level 1: what is left of floats after it, higher levels do not find either.
        source.sink_parquet(path, compression="zstd", compression_level=1, row_group_size=_ROW_GROUP, statistics=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise OperatingError(f"{path}: cannot be written: {_first_line(error)}") from None


def check_writable(path: Path) -> None:
    """Raise InvalidInput when a file cannot be written there: better before hours of work than after."""
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InvalidInput.at("", f"{path}: cannot be written")


def move(unfinished: Path, path: Path) -> None:
    """Give a finished file its name; raises InvalidInput when it cannot have it."""
    try:
        shutil.move(unfinished, path)
    except OSError as error:
        raise InvalidInput.at("", f"{path}: cannot be written: {error.strerror}") from None


def _column_names(path: Path) -> list[str]:
    polars = require_polars()
    if not path.is_file():
        raise InvalidInput.at("", f"{path}: there is no such file")
    try:
        if path.name.endswith(_CSV_ENDINGS):
            return list(polars.read_csv(path, n_rows=0, infer_schema=False, glob=False).columns)
        if path.suffix == ".parquet":
            with path.open("rb") as file:  # a path would be taken for a pattern
                return list(polars.read_parquet_schema(file))
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InvalidInput.at("", f"{path}: cannot be read: {_first_line(error)}") from None
    raise InvalidInput.at("", f"{path}: is not a .csv, .csv.gz or .parquet file")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
