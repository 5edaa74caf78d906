"""Features of a file's payments, as the engine that serves computes them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.offline.pipeline import Options, Replayed
from cardwatch.learning.replay import replayed
from cardwatch.learning.running import Progress, Running
from cardwatch.learning.tables import check_writable, move, require_polars, stream_parquet

if TYPE_CHECKING:
    import polars as pl


def feature_file(
    source: PaymentColumns | Iterable[HistoryRow],
    *,
    engine: FeatureEngine,
    out: Path,
    options: Options,
    running: Running = Running(),  # noqa: B008  a frozen value
) -> int:
    """Write `transaction_id` and every feature (float64, NaN where missing) of the window; returns how many rows.

    They come in order of (time, id). Unfinished work is kept beside `out`. Raises InvalidInput when the window is
    empty or `out` cannot be written, OperatingError when a process dies.
    """
    check_writable(out)
    with replayed(source, engine=engine, options=options, work=out, running=running) as found:
        advance = running.phases("writing", len(found))
        unfinished = found.folder / out.name
        stream_parquet(unfinished, found.names, _frames(found, advance))
        move(unfinished, out)
        return len(found)


def _frames(found: Replayed, advance: Progress) -> Iterator["pl.DataFrame"]:
    pl = require_polars()
    for ids, block in zip(found.ids(), found.blocks(), strict=True):
        yield pl.DataFrame([ids, *(pl.Series(name, values) for name, values in zip(found.names, block, strict=True))])
        advance(len(ids))
