"""From payments to their features: split into events, put in order, replay every partition.

Each step leaves finished pieces in the work folder and takes those that are there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from cardwatch.domain.errors import InvalidInput
from cardwatch.features.compiled import Kernel, kernels
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.learning.datasets import Rejected
from cardwatch.learning.frames import BATCH_ROWS
from cardwatch.learning.offline.events import PAYMENT, BatchFacts, Entity, Source, Splitting, split_into_events
from cardwatch.learning.offline.joining import joined
from cardwatch.learning.offline.order import BLOCK_ROWS, OrderFacts, put_in_order, window_rows
from cardwatch.learning.offline.partition import EVENTS_MAX, Partition, replay_partition
from cardwatch.learning.offline.workers import in_processes
from cardwatch.learning.running import Running

if TYPE_CHECKING:
    import polars as pl

READING = "reading payments"
"""The first step, in words."""

PARTITION_EVENTS = 250_000
"""Events that a partition has, about, so that some of them fit into memory at a time."""

PARTITIONS_UNKNOWN = 16
"""Partitions where nobody knows how many payments come."""

PROCESSES_ROWS_MIN = 100_000
"""Below this many payments a new process takes longer to start than to work."""

COMPILED_ROWS_MIN = 100_000
"""Below this many payments it takes longer to compile the programs than to interpret them."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is replayed; nothing of it but the window changes a feature."""

    from_ms: int | None = None
    """The window's first instant, inclusive; earlier payments feed the state."""
    until_ms: int | None = None
    """Its end, exclusive; nothing from then on has any effect."""
    rows: int | None = None
    """How many payments there are, where that is known."""
    partitions: int | None = None
    batch_rows: int = BATCH_ROWS
    events_max: int = EVENTS_MAX
    block_rows: int = BLOCK_ROWS

    def identity(self) -> dict[str, object]:
        """Return what finished pieces depend on."""
        return {
            "window": (self.from_ms, self.until_ms),
            "pieces": (self.partition_count(), self.batch_rows, self.events_max, self.block_rows),
        }

    def partition_count(self) -> int:
        """Return how many parts the keys of an entity are split into."""
        if self.partitions is not None:
            return self.partitions
        return PARTITIONS_UNKNOWN if self.rows is None else max(1, -(-self.rows // PARTITION_EVENTS))


class Task(msgspec.Struct, frozen=True):
    """A partition to replay, as a process is sent it."""

    folder: str
    partition: Partition
    window: OrderFacts
    label_delay_s: int
    compiled: str | None
    events_max: int


@dataclass(frozen=True)
class Replayed:
    """The window's payments, whose features lie in a folder."""

    folder: Path
    names: tuple[str, ...]
    window: OrderFacts
    batches: list[BatchFacts]
    columns: dict[str, slice]

    def __len__(self) -> int:
        return len(self.window)

    @property
    def rejected(self) -> int:
        """How many rows of the source could not be used."""
        return sum(batch.rejected for batch in self.batches)

    @property
    def first_rejected(self) -> Rejected:
        """The first of them; only where there is one."""
        return next(batch.first_rejected for batch in self.batches if batch.first_rejected is not None)

    def rows(self) -> "pl.LazyFrame":
        """Return what is known of each payment, in order of (time, id)."""
        return window_rows(self.folder)

    def ids(self) -> Iterator["pl.Series"]:
        """Yield their ids in the same portions as `blocks`."""
        ids = self.rows().select("transaction_id")
        for begin, end in pairwise(self.window.blocks()):
            yield ids.slice(begin - self.window.first, end - begin).collect()["transaction_id"]

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yield their features in the same order as arrays (features, some payments); NaN: missing."""
        return joined(self.folder, self.columns, self.window, features=len(self.names))


def replay_columns(
    source: Source,
    folder: Path,
    *,
    engine: FeatureEngine,
    options: Options,
    running: Running = Running(),  # noqa: B008  a frozen value
) -> Replayed:
    """Compute the features of the window's payments into a folder; what is finished there is not done again.

    Raises InvalidInput when the source is damaged or the window is empty, OperatingError when a process dies.
    """
    programs = {entity: program for entity, program in engine.programs.items() if program.names}
    splitting = Splitting(
        entities=tuple(Entity(name, program.labelled) for name, program in programs.items()),
        partitions=options.partition_count(),
        batch_rows=options.batch_rows,
        label_delay_ms=engine.label_delay_s * 1000,
        until_ms=options.until_ms,
    )
    batches = split_into_events(source, folder, splitting, progress=running.phases(READING, options.rows))
    payments = sum(batch.payments for batch in batches)
    window = put_in_order(
        folder, batches, from_ms=options.from_ms, progress=running.phases("putting in order", payments)
    )
    if not len(window):
        raise InvalidInput.at("", "no payment lies between --from and --until")
    window = OrderFacts(window.first, window.end, options.block_rows)
    parts = list(_partitions(splitting, batches))
    compiled = str(running.compiled) if running.compiled and payments >= COMPILED_ROWS_MIN else None
    tasks = [Task(str(folder), part, window, engine.label_delay_s, compiled, options.events_max) for part in parts]
    advance = running.phases("computing features", sum(part.events for part in parts))
    for events in _done(tasks, engine, running, payments):
        advance(events)
    columns = {name: slice(program.first, program.first + len(program.names)) for name, program in programs.items()}
    return Replayed(folder, engine.names, window, batches, columns)


def _partitions(splitting: Splitting, batches: Sequence[BatchFacts]) -> Iterator[Partition]:
    """Yield every partition of every entity; payments themselves have one for each batch, as they have no state."""
    for number in range(max(splitting.partitions, len(batches))):
        for entity in splitting.entities:
            if entity.name == PAYMENT:
                payments = _places(batches[number : number + 1], PAYMENT, 0, first=number)
                labels = _places([], "", 0)
            else:
                payments = _places(batches, entity.name, number)
                labels = _places(batches, f"{entity.name}-labels", number) if entity.labelled else ()
            if payments:
                yield Partition(entity.name, number, payments, labels)


def _places(
    batches: Sequence[BatchFacts], name: str, number: int, *, first: int = 0
) -> tuple[tuple[int, int, int], ...]:
    """Return where the events of a partition lie: (batch, begin, end), batches being numbered from `first`."""
    found = ((at, batch.starts[name][number : number + 2]) for at, batch in enumerate(batches, start=first))
    return tuple((at, place[0], place[1]) for at, place in found if len(place) > 1 and place[1] > place[0])


def _done(tasks: list[Task], engine: FeatureEngine, running: Running, payments: int) -> Iterator[int]:
    """Do all tasks, in other processes where that is worth it; yields how many events each had."""
    workers = min(running.worker_count(), len(tasks))
    # Other processes make the engine anew, so it must be the one that they make.
    common = default_engine(engine.label_delay_s).spec_hash == engine.spec_hash
    if workers > 1 and common and payments >= PROCESSES_ROWS_MIN:
        yield from in_processes(_replay, tasks, workers=workers)
        return
    own = cache(partial(_kernels_of, engine))
    for task in tasks:
        yield replay_with(task, own(task.compiled))


def _replay(task: Task) -> int:
    return replay_with(task, _kernels(task.label_delay_s, task.compiled))


def replay_with(task: Task, programs: dict[str, Kernel]) -> int:
    """Replay a partition with the programs of all entities; returns how many events it has."""
    kernel = programs[task.partition.entity]
    return replay_partition(Path(task.folder), task.partition, kernel, task.window, events_max=task.events_max)


@cache
def _kernels(label_delay_s: int, compiled: str | None) -> dict[str, Kernel]:
    return _kernels_of(default_engine(label_delay_s), compiled)


def _kernels_of(engine: FeatureEngine, compiled: str | None) -> dict[str, Kernel]:
    return kernels(engine, folder=None if compiled is None else Path(compiled))
