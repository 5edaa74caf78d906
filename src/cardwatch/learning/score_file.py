"""Scores of a file's payments: all earlier rows feed the state, those of the window are scored as live ones are."""

from array import array
from collections.abc import Iterable
from pathlib import Path

from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.learning.replay import PROGRESS_ROWS, Progress, Replay, no_progress
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
    replay, transaction_ids, scores = Replay(engine), list[str](), array("d")
    for number, row in enumerate(rows, start=1):
        time_ms = row.transaction.timestamp_ms
        if until_ms is not None and time_ms >= until_ms:
            break
        if from_ms is not None and time_ms < from_ms:
            replay.apply(row.transaction, row.account)
        else:
            transaction_ids.append(row.transaction.transaction_id)
            scores.append(scorer.score(replay.vector(row.transaction, row.account)))
        if number % PROGRESS_ROWS == 0:
            progress(PROGRESS_ROWS)
    if not transaction_ids:
        raise InvalidInput.at("", "no payment lies between --from and --until")
    write_parquet(out, {"transaction_id": transaction_ids, "score": scores})
    return len(scores)
