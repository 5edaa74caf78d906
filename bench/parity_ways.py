"""The ways in which `bench/parity.py` computes features of the same steps: interpreted, compiled, replayed offline."""

import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from bench.parity_population import Step, on_island
from numpy.typing import NDArray

from cardwatch.features.compiled import Kernel
from cardwatch.features.encode import FIELDS, encode
from cardwatch.features.engine import FeatureEngine, Keys, States
from cardwatch.learning.coded import Coded
from cardwatch.learning.frames import KEYED, Batch, payment_frame
from cardwatch.learning.frames import Keys as KeyNumbers
from cardwatch.learning.offline.pipeline import Options, replay_columns
from cardwatch.learning.running import Running

Ints = NDArray[np.int64]
Blobs = dict[tuple[str, str], bytes]
"""Final state by entity and key."""
Advance = Callable[[int], object]

CRASHED_SHARE = 0.02
_EVENTS_AT_ONCE = 100_000


@dataclass
class Columns:
    """Steps as integers: what compiled programs and offline replay take."""

    integers: Ints
    """(steps, len(FIELDS))."""
    changes: Ints
    keys: dict[str, Ints]
    """Number of each step's key by entity, -1 where it has none."""
    names: dict[str, dict[str, int]]
    """Key -> its number."""
    island: NDArray[np.bool_]
    of_payment: Ints
    """The step of the payment that a step is about."""
    size: int = 0
    _at: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of_size(cls, size: int, engine: FeatureEngine) -> "Columns":
        """Make room for steps."""
        entities = [entity for entity in engine.programs if entity != "payment"]
        return cls(
            integers=np.zeros((size, len(FIELDS)), dtype=np.int64),
            changes=np.zeros(size, dtype=np.int64),
            keys={entity: np.full(size, -1, dtype=np.int64) for entity in entities},
            names={entity: {} for entity in entities},
            island=np.zeros(size, dtype=np.bool_),
            of_payment=np.zeros(size, dtype=np.int64),
        )

    def add(self, step: Step, keys: Keys) -> None:
        """Take another step."""
        at = self.size
        self.integers[at] = encode(step.event)
        self.changes[at] = step.change
        for entity, key in keys:
            names = self.names[entity]
            self.keys[entity][at] = names.setdefault(key, len(names))
        self.island[at] = on_island(step.event)
        self.of_payment[at] = self._at.setdefault(step.transaction_id, at)
        self.size += 1

    def cut(self) -> None:
        """Give up the room that was not needed, and the ids."""
        size = self.size
        self.integers, self.changes, self.island = self.integers[:size], self.changes[:size], self.island[:size]
        self.keys = {entity: codes[:size] for entity, codes in self.keys.items()}
        self.of_payment = self.of_payment[:size]
        self._at = {}

    @property
    def rows(self) -> Ints:
        """The place of each payment's vector; labels have that of the payment before them."""
        return np.cumsum(self.changes == 0) - 1


def new_vectors(path: Path, payments: int, engine: FeatureEngine) -> NDArray[np.float64]:
    """Make room for vectors in a file: those of a million payments need not fit into memory."""
    vectors: NDArray[np.float64] = np.lib.format.open_memmap(path, "w+", np.float64, (payments, len(engine.names)))
    return vectors


class Interpreted:
    """The engine over states in memory, which dies now and then between reading a payment and storing its effect."""

    def __init__(self, engine: FeatureEngine, seed: int) -> None:
        self.crashes = 0
        self._engine = engine
        self._random = random.Random(seed)
        self._states: dict[tuple[str, str], list[int]] = {}

    def run(self, steps: Iterable[Step], columns: Columns, vectors: NDArray[np.float64], *, advance: Advance) -> None:
        """Apply all steps and write the vectors of payments; the steps are also kept as columns."""
        row = 0
        for step in steps:
            keys = self._engine.keys(step.event)
            columns.add(step, keys)
            if step.change:
                labelled = self._engine.labelled_keys(step.event)
                self._engine.relabel(step.event, self._states_of(labelled), step.change)
                continue
            if self._random.random() < CRASHED_SHARE:
                self._crash(step, keys)
            vectors[row] = self._engine.step(step.event, self._states_of(keys))
            row += 1
            advance(1)
        columns.cut()

    def _crash(self, step: Step, keys: Keys) -> None:
        """Read, at times also update, and lose both; what is stored is what was stored before."""
        stored = self._engine.dump(self._states_of(keys))
        lost = self._engine.load(keys, stored)
        self._engine.read(step.event, lost)
        if self._random.random() < 0.5:
            self._engine.update(step.event, lost)
        for key, state in zip(keys, self._engine.load(keys, stored).values(), strict=True):
            self._states[key] = state
        self.crashes += 1

    def _states_of(self, keys: Keys) -> States:
        for key in keys:
            if key not in self._states:
                self._states[key] = self._engine.load((key,), [None])[key[0]]
        return {entity: self._states[entity, key] for entity, key in keys}

    def blobs(self) -> Blobs:
        """Return the final states as they would be stored."""
        return {key: self._engine.dump({key[0]: state})[0] for key, state in self._states.items()}


class ThroughBytes:
    """An engine that loads and stores the bytes of every state, as a server does, and dies now and then in between."""

    def __init__(self, engine: FeatureEngine, seed: int) -> None:
        self.blobs: Blobs = {}
        self.crashes = 0
        self._engine = engine
        self._random = random.Random(seed)

    def run(self, steps: Iterable[Step], vectors: NDArray[np.float64], *, advance: Advance) -> None:
        """Apply all steps and write the vectors of payments."""
        row = 0
        for step in steps:
            if step.change:
                keys = self._engine.labelled_keys(step.event)
                states = self._load(keys)
                self._engine.relabel(step.event, states, step.change)
            else:
                keys = self._engine.keys(step.event)
                if self._random.random() < CRASHED_SHARE:
                    self._engine.step(step.event, self._load(keys))  # and nothing is stored
                    self.crashes += 1
                states = self._load(keys)
                vectors[row] = self._engine.step(step.event, states)
                row += 1
                advance(1)
            self.blobs.update(zip(keys, self._engine.dump(states), strict=True))

    def _load(self, keys: Keys) -> States:
        return self._engine.load(keys, [self.blobs.get(key) for key in keys])


def compile_now(programs: dict[str, Kernel]) -> None:
    """Run one empty payment, so that what follows can be timed."""
    for kernel in programs.values():
        one, start = np.zeros((1, len(FIELDS)), dtype=np.int64), np.array([0, 1])
        kernel.run(one, one[:, 0].copy(), start, np.zeros(kernel.state_size, np.int64), np.empty((1, kernel.width)))


def run_kernels(
    programs: dict[str, Kernel], columns: Columns, vectors: NDArray[np.float64], *, advance: Advance
) -> None:
    """Run every entity's steps, key by key, and write the vectors of payments."""
    rows = columns.rows
    vectors[:] = np.nan
    for entity, kernel in programs.items():
        for order, starts in _portions(entity, kernel, columns):
            out = np.empty((len(order), kernel.width))
            state = np.zeros(kernel.state_size, dtype=np.int64)
            changes = columns.changes[order]
            kernel.run(columns.integers[order], changes, starts, state, out)
            paid = changes == 0
            vectors[rows[order[paid]], kernel.columns] = out[paid]
            advance(len(order))


def final_states(programs: dict[str, Kernel], columns: Columns, engine: FeatureEngine) -> Blobs:
    """Run every key alone and return its last state."""
    blobs: Blobs = {}
    for entity, kernel in programs.items():
        if entity == "payment":
            continue
        names = list(columns.names[entity])
        for order, starts in _portions(entity, kernel, columns):
            events, changes = columns.integers[order], columns.changes[order]
            for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
                state = np.zeros(kernel.state_size, dtype=np.int64)
                whole = np.array([0, end - begin])
                out = np.empty((end - begin, kernel.width))
                kernel.run(events[begin:end], changes[begin:end], whole, state, out)
                key = (entity, names[columns.keys[entity][order[begin]]])
                blobs[key] = engine.dump({entity: state.tolist()})[0]
    return blobs


def _portions(entity: str, kernel: Kernel, columns: Columns) -> Iterator[tuple[Ints, Ints]]:
    """Yield an entity's steps by key, in their order, whole keys at a time: which steps, and where each key begins."""
    codes = columns.keys.get(entity, np.zeros(columns.size, dtype=np.int64))
    wanted = np.flatnonzero((codes >= 0) & ((columns.changes == 0) | kernel.labelled))
    order = wanted[np.argsort(codes[wanted], kind="stable")]
    firsts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    starts = np.concatenate((firsts, [len(order)])).astype(np.int64)
    at = 0
    while at < len(starts) - 1:
        end = max(at + 1, int(np.searchsorted(starts, starts[at] + _EVENTS_AT_ONCE, side="right")) - 1)
        yield order[starts[at] : starts[end]], starts[at : end + 1] - starts[at]
        at = end


class InOrder:
    """Payments for offline replay in an order of our own: their "time" is their place among the steps.

    Offline replay takes payments by (time, id) and frauds by when they were known, which is not the order in which a
    server applied them. The time that features see is another column, and stays what it is.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._paid = np.flatnonzero(columns.changes == 0)
        told = np.flatnonzero(columns.changes == 1)
        self._known = np.full(columns.size, -1, dtype=np.int64)
        # A file says once that a payment was fraud: of several times it is the first.
        self._known[columns.of_payment[told[::-1]]] = told[::-1]

    def batches(self, keys: KeyNumbers, *, rows: int, skip: int) -> Iterator[Batch]:
        """Yield that many payments at a time, without the first `skip`."""
        for begin in range(skip, len(self._paid), rows):
            yield self._batch(self._paid[begin : begin + rows], begin + 1, keys)

    def _batch(self, at: Ints, first: int, keys: KeyNumbers) -> Batch:
        columns, known = self._columns, self._known[at]
        named = {name: Coded(columns.keys[name][at], [*columns.names[name], None]) for name in KEYED}
        integers = columns.integers[at]
        frame = payment_frame(
            {
                "row": np.arange(first, first + len(at)),
                "transaction_id": [str(step) for step in at.tolist()],
                "time_ms": at,
                **{name: keys.codes(name, coded) for name, coded in named.items()},
                "fraud": (known >= 0).astype(np.int8),
                "available_ms": pl.Series([step if step >= 0 else None for step in known.tolist()], dtype=pl.Int64),
                "amount_minor": integers[:, FIELDS.index("amount")],
                "currency": ["USD"] * len(at),
                **{name: integers[:, place] for place, name in enumerate(FIELDS)},
            }
        )
        return Batch(frame, [], len(at))


def run_offline(
    engine: FeatureEngine, columns: Columns, vectors: NDArray[np.float64], *, compiled: Path | None, advance: Advance
) -> None:
    """Replay offline, in the order of the steps."""
    payments = int((columns.changes == 0).sum())
    with tempfile.TemporaryDirectory(prefix="cardwatch-parity-") as folder:
        found = replay_columns(
            InOrder(columns),
            Path(folder),
            engine=engine,
            options=Options(rows=payments),
            running=Running(compiled=compiled),
        )
        row = 0
        for block in found.blocks():
            vectors[row : row + block.shape[1]] = block.T
            row += block.shape[1]
            advance(block.shape[1])
    if row != payments:
        raise RuntimeError(f"offline replay gave {row} vectors of {payments} payments")


def differing_bits(
    one: NDArray[np.float64], other: NDArray[np.float64], chosen: NDArray[np.bool_] | None = None
) -> int:
    """Count the bits in which vectors differ, of all payments or of those chosen."""
    if one.shape != other.shape:
        raise ValueError(f"{one.shape} vectors against {other.shape}")
    found = 0
    for begin in range(0, len(one), _EVENTS_AT_ONCE):
        part = slice(begin, begin + _EVENTS_AT_ONCE)
        bits = one[part].view(np.int64) ^ other[part].view(np.int64)
        found += int(np.bitwise_count(bits if chosen is None else bits[chosen[part]]).sum())
    return found


def differing_states(one: Blobs, other: Blobs) -> int:
    """Count the states that differ, or that only one side has."""
    return sum(one.get(key) != other.get(key) for key in one.keys() | other.keys())


def named_features(one: NDArray[np.float64], other: NDArray[np.float64], names: Sequence[str]) -> list[str]:
    """Return the features in which vectors differ."""
    wrong = np.zeros(len(names), dtype=np.bool_)
    for begin in range(0, len(one), _EVENTS_AT_ONCE):
        part = slice(begin, begin + _EVENTS_AT_ONCE)
        wrong |= (one[part].view(np.int64) != other[part].view(np.int64)).any(axis=0)
    return [name for name, differs in zip(names, wrong.tolist(), strict=True) if differs]
