"""Features of history: payments replayed through the engine that serves, in order of (time, id).

A row's vector is read before its own effect. Nothing that comes or becomes known later can change it.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.frames import HistoryColumns
from cardwatch.learning.offline.pipeline import READING, Options, Replayed, replay_columns
from cardwatch.learning.offline.work import work_folder
from cardwatch.learning.running import Phases, Progress, Running, no_progress

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Progress", "Sample", "no_progress", "replay_sample", "replayed"]


@dataclass(frozen=True)
class Sample:
    """Payments of a window as columns, in order of (time, id): their features, and what is known of each."""

    names: tuple[str, ...]
    matrix: NDArray[np.float64]
    """(payments, features); NaN: missing."""
    frauds: NDArray[np.int8]
    """1 for fraud, 0 for genuine or not known."""
    amounts_minor: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    transaction_ids: list[str]
    accounts: NDArray[np.int64]
    """The same number for payments of the same account."""
    rejected: int = 0
    """How many rows of the source could not be used, in the window or not."""

    def __len__(self) -> int:
        return len(self.transaction_ids)


def replay_sample(
    source: PaymentColumns | Iterable[HistoryRow],
    *,
    engine: FeatureEngine,
    from_ms: int | None = None,
    until_ms: int | None = None,
    known_by_ms: int | None = None,
    progress: Progress = no_progress,
    work: Path | None = None,
    running: Running = Running(),  # noqa: B008  a frozen value
) -> Sample:
    """Replay payments and return those of [from_ms, until_ms) as columns.

    A fraud whose label was not yet known at `known_by_ms` counts as genuine, as it would have then. Of a file,
    `work` names the output beside which unfinished work is kept (None: nothing is). `progress` hears of the rows as
    they are read. Raises InvalidInput when the window is empty or the file damaged, OperatingError when a process dies.
    """
    options = Options(from_ms=from_ms, until_ms=until_ms)
    heard = replace(running, phases=_with(progress, running.phases))
    with replayed(source, engine=engine, options=options, work=work, running=heard) as found:
        rows = found.rows().collect()
        matrix = np.empty((len(found), len(found.names)))
        done = 0
        for block in found.blocks():
            matrix[done : done + block.shape[1]] = block.T
            done += block.shape[1]
        return Sample(
            names=found.names,
            matrix=matrix,
            frauds=_known_frauds(rows, known_by_ms),
            amounts_minor=rows["amount_minor"].to_numpy(),
            times_ms=rows["time_ms"].to_numpy(),
            transaction_ids=rows["transaction_id"].to_list(),
            accounts=rows["account"].to_numpy(),
            rejected=found.rejected,
        )


@contextmanager
def replayed(
    source: PaymentColumns | Iterable[HistoryRow],
    *,
    engine: FeatureEngine,
    options: Options,
    work: Path | None = None,
    running: Running = Running(),  # noqa: B008  a frozen value
) -> Iterator[Replayed]:
    """Compute the features of a window, which lie in a folder until the block ends; raises as `replay_sample` does."""
    with ExitStack() as opened:
        if isinstance(source, PaymentColumns):
            options = msgspec.structs.replace(options, rows=len(source))
        if work is None or not isinstance(source, PaymentColumns):
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="cardwatch-replay-")))
        else:
            belongs_to = {**source.identity(), "features": engine.spec_hash, "options": options.identity()}
            folder = opened.enter_context(work_folder(work, belongs_to, say=running.say))
        columns = source if isinstance(source, PaymentColumns) else HistoryColumns(source)
        found = replay_columns(columns, folder, engine=engine, options=options, running=running)
        if found.rejected:
            first = found.first_rejected
            running.say(f"{found.rejected:,} rows were not used; the first is row {first.row}: {first.reason}")
        yield found


def _with(progress: Progress, phases: Phases) -> Phases:
    """Let somebody hear of the rows that are read, beside those who hear of every step."""

    def begin(text: str, rows: int | None) -> Progress:
        heard = phases(text, rows)
        if text != READING:
            return heard

        def both(more: int) -> None:
            heard(more)
            progress(more)

        return both

    return begin


def _known_frauds(rows: "pl.DataFrame", known_by_ms: int | None) -> NDArray[np.int8]:
    frauds = rows["fraud"].fill_null(0).to_numpy().astype(np.int8)
    if known_by_ms is not None:
        frauds[(rows["available_ms"].fill_null(known_by_ms) > known_by_ms).to_numpy()] = 0
    return frauds
