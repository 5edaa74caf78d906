"""The order of all payments, (time, id), in slices of time that fit into memory.

Payments of one instant stay in one slice, so a file that has only days needs memory for its busiest day.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

from cardwatch.learning.instants import Ints
from cardwatch.learning.offline.events import BatchFacts, batch_folder
from cardwatch.learning.offline.work import piece
from cardwatch.learning.running import Progress
from cardwatch.learning.tables import require_polars

if TYPE_CHECKING:
    import polars as pl

SLICE_ROWS = 500_000
"""About how many payments are put in order at a time."""

_Rows: TypeAlias = tuple[Path, int, int]
"""A batch's file of rows, and from which to which of them."""

_SAMPLE_EVERY = 512
LATER = -1
"""Position of a row that has none: it was refused or comes after the window."""


BLOCK_ROWS = 65_536
"""Payments of the window whose features are put together at a time."""


class OrderFacts(msgspec.Struct, frozen=True):
    """Where the window [from_ms, until_ms) lies in the order of all payments."""

    first: int
    """Position of its first payment."""
    end: int
    """Position after its last."""
    block_rows: int = BLOCK_ROWS

    def __len__(self) -> int:
        return self.end - self.first

    def blocks(self) -> list[int]:
        """Return the positions at which blocks begin, and the end."""
        return [*range(self.first, self.end, self.block_rows), self.end]


def put_in_order(
    folder: Path, facts: list[BatchFacts], *, from_ms: int | None, slice_rows: int = SLICE_ROWS, progress: Progress
) -> OrderFacts:
    """Write the position of every row, and the payments of the window in order; returns where the window lies."""
    done = folder / "order"
    if not done.is_dir():
        with piece(done) as unfinished:
            paths = [batch_folder(folder, at) / "rows.arrow" for at in range(len(facts))]
            rows = sum(batch.rows for batch in facts)
            slices = _slices(paths, slice_rows)
            found = _write_order(unfinished, slices, rows=rows, from_ms=from_ms, progress=progress)
            (unfinished / "facts.json").write_bytes(msgspec.json.encode(found))
    return msgspec.json.decode((done / "facts.json").read_bytes(), type=OrderFacts)


def positions(folder: Path) -> Ints:
    """Return, for each row of the file (from 0), its position in the order, `LATER` where it has none."""
    return np.load(folder / "order" / "positions.npy", mmap_mode="r")  # type: ignore[no-any-return]


def window_rows(folder: Path) -> "pl.LazyFrame":
    """Return the payments of the window in order: id, time, label and amount."""
    pl = require_polars()
    return pl.scan_ipc(sorted((folder / "order").glob("rows-*.arrow")), glob=False)  # type: ignore[no-any-return]


def _write_order(
    unfinished: Path, slices: Iterable[list[_Rows]], *, rows: int, from_ms: int | None, progress: Progress
) -> OrderFacts:
    pl = require_polars()
    numbers = np.lib.format.open_memmap(unfinished / "positions.npy", "w+", np.int64, (rows,))
    numbers[:] = LATER
    first = None
    position = 0
    for at, parts in enumerate(slices):
        frame = pl.concat(
            [pl.scan_ipc(path, glob=False).slice(begin, end - begin).collect() for path, begin, end in parts]
        )
        frame = frame.sort("time_ms", "transaction_id", "row")
        numbers[frame["row"].to_numpy() - 1] = np.arange(position, position + frame.height)
        kept = frame if from_ms is None else frame.filter(pl.col("time_ms") >= from_ms)
        if first is None and kept.height:
            first = position + frame.height - kept.height
        kept.write_ipc(unfinished / f"rows-{at:06}.arrow")
        position += frame.height
        progress(frame.height)
    numbers.flush()
    return OrderFacts(position if first is None else first, position)


def _slices(paths: list[Path], slice_rows: int) -> Iterator[list[_Rows]]:
    """Yield the slices of time that hold about `slice_rows` payments each: which rows (begin, end) of which batch."""
    pl = require_polars()
    of_batches = [pl.scan_ipc(path, glob=False).select("time_ms").collect()["time_ms"].to_numpy() for path in paths]
    samples = np.sort(np.concatenate([times[::_SAMPLE_EVERY] for times in of_batches] or [np.empty(0, np.int64)]))
    cuts = np.unique(samples[:: max(1, slice_rows // _SAMPLE_EVERY)])[1:]
    places = [[0, *np.searchsorted(times, cuts).tolist(), len(times)] for times in of_batches]
    del of_batches, samples
    for at in range(len(cuts) + 1):
        found = [(path, place[at], place[at + 1]) for path, place in zip(paths, places, strict=True)]
        if some := [rows for rows in found if rows[2] > rows[1]]:
            yield some
