"""Scores of a file's payments: all earlier rows feed the state, those of the window are scored as live ones are."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.learning.batch_scoring import batch_scores
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.metrics import Floats
from cardwatch.learning.offline.pipeline import Options, Replayed
from cardwatch.learning.replay import replayed
from cardwatch.learning.running import Progress, Running
from cardwatch.learning.tables import check_writable, move, write_parquet
from cardwatch.models.bundle import Bundle, column_places


def score_file(
    source: PaymentColumns | Iterable[HistoryRow],
    *,
    bundle: Bundle,
    engine: FeatureEngine,
    out: Path,
    options: Options,
    running: Running = Running(),  # noqa: B008  a frozen value
) -> int:
    """Write `transaction_id` and `score` (float64) of each payment of the window; returns how many.

    They come in order of (time, id). Unfinished work is kept beside `out`. Raises InvalidInput when the window is
    empty or `out` cannot be written, OperatingError when a process dies.
    """
    check_writable(out)
    with replayed(source, engine=engine, options=options, work=out, running=running) as found:
        scores = _scores(found, bundle, running.phases("scoring", len(found)))
        unfinished = found.folder / out.name
        write_parquet(unfinished, {"transaction_id": found.rows().collect()["transaction_id"], "score": scores})
        move(unfinished, out)
        return len(found)


def _scores(found: Replayed, bundle: Bundle, advance: Progress) -> Floats:
    places = column_places(bundle.facts.feature_names, found.names)
    parts = []
    for block in found.blocks():
        parts.append(batch_scores(bundle.model_text, np.ascontiguousarray(block[list(places)].T)))
        advance(block.shape[1])
    return np.concatenate(parts)
