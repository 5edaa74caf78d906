"""Payments and labels as events of each entity, split by key into partitions: one piece of work for each batch.

A batch's folder holds `rows.arrow` (its payments in order of time and id), and for each entity the events of its
payments and, where labels change the entity's state, of its labels. The events of a partition stand together.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from cardwatch.features.encode import FIELDS
from cardwatch.learning.datasets import Rejected
from cardwatch.learning.frames import KEYED, NO_KEY, Batch, Keys
from cardwatch.learning.instants import Ints
from cardwatch.learning.offline.work import piece
from cardwatch.learning.running import Progress
from cardwatch.learning.tables import require_polars

if TYPE_CHECKING:
    import polars as pl

PAYMENT = "payment"
"""The entity without a history: its events are not split."""

_PAIR_BITS = 32
_SPREAD = 0x9E37_79B9_7F4A_7C15
"""2**64 divided by the golden ratio: neighbouring keys fall into different partitions."""


class Source(Protocol):
    """Payments in columns: a file, or rows in memory."""

    def batches(self, keys: Keys, *, rows: int, skip: int) -> Iterator[Batch]:
        """Yield the payments that many at a time, without the first `skip` rows."""
        ...


class Entity(msgspec.Struct, frozen=True):
    """What splitting has to know of an entity."""

    name: str
    labelled: bool
    """Whether labels change its state."""


class Splitting(msgspec.Struct, frozen=True, kw_only=True):
    """How payments become events."""

    entities: tuple[Entity, ...]
    partitions: int
    batch_rows: int
    label_delay_ms: int
    """When a fraud's label is known after its payment, where the source does not say."""
    until_ms: int | None = None
    """Later payments and labels are left out."""


class BatchFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a batch whose events are written."""

    rows: int
    """Rows of the file, refused and later ones too."""
    payments: int
    rejected: int
    first_rejected: Rejected | None
    starts: dict[str, tuple[int, ...]]
    """Name of a file of events -> where each partition begins in it, and the end."""
    new_keys: dict[str, list[str]]
    """The keys of each entity that were first seen here, in the order of their numbers."""


def split_into_events(source: Source, folder: Path, splitting: Splitting, *, progress: Progress) -> list[BatchFacts]:
    """Write the events of all batches that are not finished yet; returns what is known of every batch.

    Raises InvalidInput when the source turns out to be damaged.
    """
    facts, keys = _finished(folder, progress)
    done = sum(batch.rows for batch in facts)
    for batch in source.batches(keys, rows=splitting.batch_rows, skip=done):
        with piece(batch_folder(folder, len(facts))) as unfinished:
            found = _write_batch(unfinished, batch, splitting, keys, facts)
            (unfinished / "facts.json").write_bytes(msgspec.json.encode(found))
        facts.append(found)
        progress(batch.rows)
    return facts


def batch_folder(folder: Path, number: int) -> Path:
    """Return where the events of a batch lie."""
    return folder / "batches" / f"{number:06}"


def partitioned(keys: Ints, partitions: int) -> Ints:
    """Return the partition of each key: the same for the same key, and spread evenly."""
    spread = (keys.astype(np.uint64) * np.uint64(_SPREAD)) >> np.uint64(33)
    return (spread % np.uint64(partitions)).astype(np.int64)


def _finished(folder: Path, progress: Progress) -> tuple[list[BatchFacts], Keys]:
    """Return what earlier work finished: facts of its batches, and the numbers that it gave to keys."""
    facts, keys = list[BatchFacts](), Keys()
    while (path := batch_folder(folder, len(facts)) / "facts.json").is_file():
        facts.append(msgspec.json.decode(path.read_bytes(), type=BatchFacts))
        for entity, names in facts[-1].new_keys.items():
            known = keys.numbers[entity]
            known.update(zip(names, range(len(known), len(known) + len(names)), strict=True))
        progress(facts[-1].rows)
    return facts, keys


def _write_batch(
    folder: Path, batch: Batch, splitting: Splitting, keys: Keys, before: Sequence[BatchFacts]
) -> BatchFacts:
    pl = require_polars()
    frame = batch.frame
    if splitting.until_ms is not None:
        frame = frame.filter(pl.col("time_ms") < splitting.until_ms)
    rows = frame.select("row", "transaction_id", "time_ms", "account", "fraud", "available_ms", "amount_minor")
    rows.sort("time_ms", "transaction_id", "row").write_ipc(folder / "rows.arrow")
    labels = _label_events(frame, splitting)
    payments = frame.with_columns(at_ms="time_ms")
    starts: dict[str, tuple[int, ...]] = {}
    for entity in splitting.entities:
        starts[entity.name] = _write_events(folder, entity.name, entity.name, payments, splitting.partitions)
        if entity.labelled:
            name = f"{entity.name}-labels"
            starts[name] = _write_events(folder, name, entity.name, labels, splitting.partitions, "transaction_id")
    return BatchFacts(
        rows=batch.rows,
        payments=frame.height,
        rejected=len(batch.rejected),
        first_rejected=batch.rejected[0] if batch.rejected else None,
        starts=starts,
        new_keys=_new_keys(keys, before),
    )


def _new_keys(keys: Keys, before: Iterable[BatchFacts]) -> dict[str, list[str]]:
    known = {entity: sum(len(batch.new_keys[entity]) for batch in before) for entity in KEYED}
    return {entity: list(islice(keys.numbers[entity], known[entity], None)) for entity in KEYED}


def _label_events(frame: "pl.DataFrame", splitting: Splitting) -> "pl.DataFrame":
    """Return the frauds, each at the moment from which on its label is known.

    That is never before the payment itself has been read, whatever a file says.
    """
    pl = require_polars()
    known = pl.col("available_ms").fill_null(pl.col("time_ms") + splitting.label_delay_ms)
    frauds = frame.filter(pl.col("fraud") == 1).with_columns(at_ms=pl.max_horizontal(known, pl.col("time_ms") + 1))
    if splitting.until_ms is not None:
        frauds = frauds.filter(pl.col("at_ms") < splitting.until_ms)
    return frauds


def _write_events(
    folder: Path, name: str, entity: str, frame: "pl.DataFrame", partitions: int, *beside: str
) -> tuple[int, ...]:
    """Write the events that have a key of an entity, partition after partition; returns where each begins."""
    pl = require_polars()
    key = _keys(entity, frame)
    at = np.flatnonzero(key != NO_KEY)
    count = 1 if entity == PAYMENT else partitions
    parts = partitioned(key[at], count).astype(np.uint16 if count < 1 << 16 else np.int64)
    order = np.argsort(parts, kind="stable")
    events = frame.select("row", "at_ms", *beside, *(pl.col(field).cast(_narrow(field)) for field in FIELDS))
    events = events.with_columns(key=pl.Series(key))[at[order]]
    events.write_ipc(folder / f"{name}.arrow")
    return tuple(np.searchsorted(parts[order], np.arange(count + 1)).tolist())


def _keys(entity: str, frame: "pl.DataFrame") -> Ints:
    if entity == PAYMENT:
        return np.zeros(frame.height, dtype=np.int64)
    if entity != "pair":
        return np.asarray(frame[entity].to_numpy())
    account, merchant = frame["account"].to_numpy(), frame["merchant"].to_numpy()
    return np.where((account == NO_KEY) | (merchant == NO_KEY), NO_KEY, (account << _PAIR_BITS) | merchant)


def _narrow(field: str) -> "type[pl.DataType]":
    """Return the smallest type that holds a field's integers: what is written and read again is a third so large."""
    pl = require_polars()
    if field.endswith("hash"):
        return pl.UInt32  # type: ignore[no-any-return]  # polars is imported late
    if field in {"own", "small", "night", "placed", "homed", "unresolved"}:
        return pl.Int8  # type: ignore[no-any-return]  # polars is imported late
    if field in {"x", "y", "z", "home_x", "home_y", "home_z", "scale"}:
        return pl.Int32  # type: ignore[no-any-return]  # polars is imported late
    return pl.Int64  # type: ignore[no-any-return]  # polars is imported late
