"""Features of a file's payments, as the engine that serves computes them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.learning.replay import Progress, no_progress, replay_sample
from cardwatch.learning.tables import require_polars, write_parquet


def feature_file(
    rows: Iterable[HistoryRow],
    *,
    engine: FeatureEngine,
    out: Path,
    from_ms: int | None = None,
    until_ms: int | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write `transaction_id` and every feature (float64, NaN where missing) of [from_ms, until_ms); returns how many.

    Rows come in order of (time, id). Raises InvalidInput when the window is empty or `out` cannot be written.
    """
    require_polars()
    sample = replay_sample(rows, engine=engine, from_ms=from_ms, until_ms=until_ms, progress=progress)
    matrix = np.frombuffer(sample.matrix, dtype=np.float64).reshape(len(sample), len(sample.names))
    features = {name: np.ascontiguousarray(matrix[:, at]) for at, name in enumerate(sample.names)}
    write_parquet(out, {"transaction_id": sample.transaction_ids, **features})
    return len(sample)
