"""Files of payments as columns: csv, csv.gz and parquet in, parquet out, by polars.

Polars comes with `pip install 'cardwatch[train]'` and is imported on first use. Only the columns that are needed are
kept in memory; rows are made of them a chunk at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cardwatch.domain.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl

CHUNK_ROWS = 20_000
_CSV_ENDINGS = (".csv", ".csv.gz")


def require_polars() -> ModuleType:
    """Import polars; raises InvalidInput that names the extra when it is not installed."""
    try:
        import polars as pl  # noqa: PLC0415  heavy, and only in the extra "train"
    except ImportError:
        raise InvalidInput.at("", "reading and writing tables needs polars: pip install 'cardwatch[train]'") from None
    return pl


class Table:
    """Named columns of a file, all of one length."""

    def __init__(self, path: Path, *, wanted: Sequence[str], required: Sequence[str]) -> None:
        """Read the wanted columns that the file has; raises InvalidInput when a required one is missing."""
        self.path = path
        present = _column_names(path)
        missing = [column for column in required if column not in present]
        if missing:
            raise InvalidInput.at("", f"{path}: the column {missing[0]} is missing (found: {', '.join(present[:12])})")
        self.columns = tuple(column for column in present if column in wanted)
        self.ignored = tuple(column for column in present if column not in wanted and column)
        """Columns of the file that nobody reads; Kaggle's nameless index is not worth a word."""
        self._frame = _read(path, self.columns)

    def __len__(self) -> int:
        return int(self._frame.height)

    def column(self, name: str) -> list[Any]:
        """Return the values of a column."""
        return self._frame[name].to_list()

    def rows(self, order: Sequence[int]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield (number in the file from 1, values in the order of `columns`) of rows in an order, by chunks."""
        for start in range(0, len(order), CHUNK_ROWS):
            numbers = order[start : start + CHUNK_ROWS]
            for number, values in zip(numbers, self._frame[list(numbers)].iter_rows(), strict=True):
                yield number + 1, values


def write_parquet(path: Path, columns: Mapping[str, object]) -> None:
    """Write columns (lists or arrays of one length) as parquet; raises InvalidInput when the file cannot be written."""
    polars = require_polars()
    try:
        polars.DataFrame(dict(columns)).write_parquet(path)
    except OSError as error:
        raise InvalidInput.at("", f"{path}: cannot be written: {error}") from None


def _column_names(path: Path) -> list[str]:
    polars = require_polars()
    if not path.is_file():
        raise InvalidInput.at("", f"{path}: there is no such file")
    try:
        if path.name.endswith(_CSV_ENDINGS):
            return list(polars.read_csv(path, n_rows=0, infer_schema=False).columns)
        if path.suffix == ".parquet":
            return list(polars.read_parquet_schema(path))
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InvalidInput.at("", f"{path}: cannot be read: {_first_line(error)}") from None
    raise InvalidInput.at("", f"{path}: is not a .csv, .csv.gz or .parquet file")


def _read(path: Path, columns: Sequence[str]) -> "pl.DataFrame":
    polars = require_polars()
    try:
        if path.suffix == ".parquet":
            frame = polars.read_parquet(path, columns=list(columns))
        else:
            frame = polars.read_csv(path, columns=list(columns), infer_schema=False, truncate_ragged_lines=True)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InvalidInput.at("", f"{path}: cannot be read: {_first_line(error)}") from None
    return frame.select(columns)  # type: ignore[no-any-return]  # polars is imported late


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
