"""Features of history: payments replayed through the engine that serves, in order of (time, id).

A row's vector is read before its own effect. Nothing that comes later, and no label, can change it.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cardwatch.domain.account import Account
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.transaction import Transaction
from cardwatch.features.engine import FeatureEngine, States
from cardwatch.features.event import PaymentEvent, payment_event

Progress = Callable[[int], None]
"""Hears how many more rows were done."""

_PROGRESS_ROWS = 2000


def no_progress(_: int) -> None:
    """Tell nobody."""


class Replay:
    """The engine over states kept in memory, decoded: what a store does, without the bytes."""

    def __init__(self, engine: FeatureEngine) -> None:
        """Begin with no history at all."""
        self._engine = engine
        self._states: dict[tuple[str, str], list[int]] = {}

    def vector(self, transaction: Transaction, account: Account) -> list[float]:
        """Return a payment's features, then apply its effect."""
        event = payment_event(transaction, account)
        states = self._states_of(event)
        vector = self._engine.read(event, states)
        self._engine.update(event, states)
        return vector

    def read(self, transaction: Transaction, account: Account) -> list[float]:
        """Return a payment's features and change nothing."""
        event = payment_event(transaction, account)
        return self._engine.read(event, self._states_of(event))

    def apply(self, transaction: Transaction, account: Account) -> None:
        """Apply a payment's effect alone."""
        event = payment_event(transaction, account)
        self._engine.update(event, self._states_of(event))

    def _states_of(self, event: PaymentEvent) -> States:
        keys = self._engine.keys(event)
        found = [self._states.get(key) for key in keys]
        if None in found:
            fresh = self._engine.load([None] * len(keys))
            found = [self._states.setdefault(key, state) for key, state in zip(keys, fresh, strict=True)]
        return [state for state in found if state is not None]


@dataclass
class Sample:
    """Rows as columns: the matrix row by row in one array of doubles, and beside it what is known of each row."""

    names: tuple[str, ...]
    matrix: "array[float]"
    frauds: "array[int]"
    """1 for fraud, 0 for genuine or not known."""
    amounts_minor: "array[int]"
    times_ms: "array[int]"
    transaction_ids: list[str]

    def __len__(self) -> int:
        return len(self.transaction_ids)


def replay_sample(
    rows: Iterable[HistoryRow],
    *,
    engine: FeatureEngine,
    from_ms: int | None = None,
    until_ms: int | None = None,
    known_by_ms: int | None = None,
    progress: Progress = no_progress,
) -> Sample:
    """Replay rows and keep those of [from_ms, until_ms) as columns; raises as `replay_window` does.

    A fraud whose label was not yet known at `known_by_ms` counts as genuine, as it would have then.
    """
    sample = Sample(engine.names, array("d"), array("b"), array("q"), array("q"), [])
    for row, vector in replay_window(rows, engine=engine, from_ms=from_ms, until_ms=until_ms, progress=progress):
        _keep(sample, row, vector, known_by_ms)
    return sample


def replay_window(
    rows: Iterable[HistoryRow],
    *,
    engine: FeatureEngine,
    from_ms: int | None,
    until_ms: int | None,
    progress: Progress,
) -> Iterator[tuple[HistoryRow, list[float]]]:
    """Yield the rows of [from_ms, until_ms) with their features; earlier ones feed the state, later ones are not read.

    Raises InvalidInput, at the end, when no row lies in the window.
    """
    replay = Replay(engine)
    empty = True
    for number, row in enumerate(rows, start=1):
        time_ms = row.transaction.timestamp_ms
        if until_ms is not None and time_ms >= until_ms:
            break
        if from_ms is not None and time_ms < from_ms:
            replay.apply(row.transaction, row.account)
        else:
            empty = False
            yield row, replay.vector(row.transaction, row.account)
        if number % _PROGRESS_ROWS == 0:
            progress(_PROGRESS_ROWS)
    if empty:
        raise InvalidInput.at("", "no payment lies between --from and --until")


def _keep(sample: Sample, row: HistoryRow, vector: Sequence[float], known_by_ms: int | None) -> None:
    available_ms = row.label_available_ms
    known = known_by_ms is None or available_ms is None or available_ms <= known_by_ms
    sample.matrix.extend(vector)
    sample.frauds.append(int(bool(row.is_fraud) and known))
    sample.amounts_minor.append(row.transaction.amount.minor)
    sample.times_ms.append(row.transaction.timestamp_ms)
    sample.transaction_ids.append(row.transaction.transaction_id)
