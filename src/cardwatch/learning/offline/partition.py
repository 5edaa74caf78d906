"""One entity's events of one partition: sorted, replayed, and their features written by position.

A partition that is larger than memory allows is replayed in pieces: some keys at a time, and a key that is too large
alone in slices of time, its state carried from one to the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from cardwatch.features.encode import FIELDS
from cardwatch.learning.instants import Ints
from cardwatch.learning.offline.events import batch_folder
from cardwatch.learning.offline.order import LATER, OrderFacts, positions
from cardwatch.learning.offline.work import piece
from cardwatch.learning.tables import require_polars

if TYPE_CHECKING:
    import polars as pl

EVENTS_MAX = 500_000
"""Events that a process replays at a time; about 500 bytes of memory each, with their features."""

_SAMPLE_EVERY = 64


class Kernel(Protocol):
    """An entity's program over columns of events, as `features.compiled` makes them."""

    @property
    def width(self) -> int:
        """How many features the entity has."""
        ...

    @property
    def state_size(self) -> int:
        """How many integers a key's state has."""
        ...

    def run(self, events: Ints, changes: Ints, starts: Ints, state: Ints, out: NDArray[np.float64]) -> None:
        """Run events in order of key and time; the first key goes on from `state`, which is then the last key's."""
        ...


class Partition(msgspec.Struct, frozen=True):
    """The events of an entity whose keys fall into one part."""

    entity: str
    number: int
    payments: tuple[tuple[int, int, int], ...]
    """(batch, begin, end): the rows of the batches' files of events."""
    labels: tuple[tuple[int, int, int], ...]
    """The same of the files of labels."""

    @property
    def events(self) -> int:
        """How many events there are."""
        return sum(end - begin for _, begin, end in (*self.payments, *self.labels))


@dataclass(frozen=True)
class _Some:
    """Some events of a partition: of some keys (None: all) and from one instant until another."""

    keys: Ints | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    goes_on: bool = False
    """The state is that of the events before."""


def replay_partition(
    folder: Path, partition: Partition, kernel: Kernel, window: OrderFacts, *, events_max: int = EVENTS_MAX
) -> int:
    """Replay a partition and write the features of the window's payments; returns how many events it has.

    What is finished is not done again.
    """
    done = partition_folder(folder, partition)
    if done.is_dir():
        return partition.events
    state = np.zeros(kernel.state_size, dtype=np.int64)
    with piece(done) as unfinished:
        for number, some in enumerate(_portions(folder, partition, events_max)):
            if not some.goes_on:
                state[:] = 0
            events = _read(folder, partition, some)
            _write_features(unfinished / f"{number:06}", *_run(events, kernel, state), window)
    return partition.events


def partition_folder(folder: Path, partition: Partition) -> Path:
    """Return where the features of a partition lie."""
    return folder / "features" / f"{partition.entity}-{partition.number:06}"


def _portions(folder: Path, partition: Partition, events_max: int) -> Iterator[_Some]:
    """Yield what to replay at a time, so that none has many more than `events_max` events."""
    if partition.events <= events_max:
        yield _Some()
        return
    pl = require_polars()
    files = [file.select("key", "at_ms") for file in _files(folder, partition)]
    counts = pl.concat([file.group_by("key").len().collect() for file in files])
    counted = counts.group_by("key").agg(pl.col("len").sum()).sort("len", "key")
    ends = counted["len"].cum_sum().to_numpy()
    keys, large = counted["key"].to_numpy(), counted["len"].to_numpy() > events_max
    groups = ends // events_max
    for group in np.unique(groups[~large]):
        yield _Some(keys=np.sort(keys[~large & (groups == group)]))
    for key, count in zip(keys[large], counted["len"].to_numpy()[large], strict=True):
        times = [file.filter(pl.col("key") == key).select("at_ms").collect()["at_ms"].to_numpy() for file in files]
        sampled = np.sort(np.concatenate([np.sort(found)[::_SAMPLE_EVERY] for found in times]))
        step = max(1, len(sampled) * events_max // int(count))
        cuts = [None, *np.unique(sampled[::step])[1:].tolist(), None]
        for begin, end in pairwise(cuts):
            yield _Some(np.array([key]), begin, end, goes_on=begin is not None)


def _files(folder: Path, partition: Partition) -> "list[pl.LazyFrame]":
    """Return the partition's events in every file that has some; labels have an id, payments none."""
    pl = require_polars()
    named = [(partition.entity, place) for place in partition.payments]
    named += [(f"{partition.entity}-labels", place) for place in partition.labels]
    return [
        pl.scan_ipc(batch_folder(folder, batch) / f"{name}.arrow", glob=False).slice(begin, end - begin)
        for name, (batch, begin, end) in named
        if end > begin
    ]


@dataclass(frozen=True)
class _Events:
    """Events in order of key and time."""

    integers: Ints
    """(n, len(FIELDS))."""
    changes: Ints
    starts: Ints
    """Where each key begins, and the end."""
    positions: Ints
    """The payment's position in the order of all."""


def _read(folder: Path, partition: Partition, some: _Some) -> _Events:
    """Read events and sort them: by key, then by time, labels before payments of the same instant."""
    pl = require_polars()
    chosen = pl.lit(value=True)
    if some.keys is not None:
        chosen &= pl.col("key").is_in(pl.Series(some.keys).implode())
    if some.from_ms is not None:
        chosen &= pl.col("at_ms") >= some.from_ms
    if some.until_ms is not None:
        chosen &= pl.col("at_ms") < some.until_ms
    found = [file.filter(chosen).collect() for file in _files(folder, partition)]
    payments = [frame for frame in found if "transaction_id" not in frame.columns]
    labels = [frame for frame in found if "transaction_id" in frame.columns]
    parts = [frame.with_columns(change=pl.lit(0)) for frame in payments]
    if labels:
        # Labels of one instant come in the order of their payments' ids.
        ordered = pl.concat(labels).sort("at_ms", "transaction_id", "row").drop("transaction_id")
        parts.append(ordered.with_columns(change=pl.lit(1)))
    return _sorted(pl.concat(parts), positions(folder))


def _sorted(frame: "pl.DataFrame", of_rows: Ints) -> _Events:
    change = frame["change"].to_numpy().astype(np.int64)
    position = of_rows[frame["row"].to_numpy() - 1]
    key = frame["key"].to_numpy()
    # Among labels the order of the frame stands; among payments that of positions.
    rank = np.where(change == 0, position, np.arange(frame.height))
    order = np.lexsort((rank, change == 0, frame["at_ms"].to_numpy(), key))
    order = order[position[order] != LATER]
    integers = np.empty((len(order), len(FIELDS)), dtype=np.int64)
    for at, field in enumerate(FIELDS):
        integers[:, at] = frame[field].to_numpy()[order]
    sorted_keys = key[order]
    new = np.flatnonzero(sorted_keys[1:] != sorted_keys[:-1]) + 1
    starts = np.concatenate(([0], new, [len(order)])) if len(order) else np.zeros(1, dtype=np.int64)
    return _Events(integers, change[order], starts, position[order])


def _run(events: _Events, kernel: Kernel, state: Ints) -> tuple[Ints, NDArray[np.float64]]:
    """Return the positions of the payments, and their features."""
    out = np.full((len(events.positions), kernel.width), np.nan)
    kernel.run(events.integers, events.changes, events.starts, state, out)
    return np.where(events.changes == 0, events.positions, LATER), out


def _write_features(path: Path, of_rows: Ints, out: NDArray[np.float64], window: OrderFacts) -> None:
    """Write the features of the window's payments in order; the others only had their effect."""
    kept = np.flatnonzero((of_rows >= window.first) & (of_rows < window.end))
    kept = kept[np.argsort(of_rows[kept])]
    path.mkdir()
    np.save(path / "positions.npy", of_rows[kept])
    np.save(path / "values.npy", out[kept])
    np.save(path / "blocks.npy", np.searchsorted(of_rows[kept], window.blocks()))
