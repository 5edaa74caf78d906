"""Scores of a file's payments: all earlier rows feed the state, those of the window are scored as live ones are."""

from array import array
from collections.abc import Iterable
from pathlib import Path

from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.learning.replay import Progress, no_progress, replay_window
from cardwatch.learning.tables import require_polars, write_parquet
from cardwatch.ports import Scorer


def score_file(
    rows: Iterable[HistoryRow],
    *,
    scorer: Scorer,
    engine: FeatureEngine,
    out: Path,
    from_ms: int | None = None,
    until_ms: int | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write `transaction_id` and `score` (float64) of each payment of [from_ms, until_ms); returns how many.

    Rows come in order of (time, id). Raises InvalidInput when the window is empty or `out` cannot be written,
    ScorerUnavailable when the model cannot score.
    """
    require_polars()
    transaction_ids, scores = list[str](), array("d")
    for row, vector in replay_window(rows, engine=engine, from_ms=from_ms, until_ms=until_ms, progress=progress):
        transaction_ids.append(row.transaction.transaction_id)
        scores.append(scorer.score(vector))
    write_parquet(out, {"transaction_id": transaction_ids, "score": scores})
    return len(scores)
