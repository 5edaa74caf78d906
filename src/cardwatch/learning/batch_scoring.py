"""Scores of many payments at once: the same bits as one by one, on all cores."""

from collections.abc import Callable

import lightgbm
import numpy as np

from cardwatch.learning.metrics import Floats

CHUNK_ROWS = 100_000
"""Rows between two reports of progress; the matrix is never copied."""


def batch_scores(
    model_text: str,
    matrix: Floats,
    *,
    threads: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Floats:
    """Return the probability of fraud of each row of a matrix (rows x features, float64, NaN: missing).

    `threads` 0 means all cores; the scores do not depend on it. `progress` hears how many more rows were done. Raises
    ValueError when the rows have another number of features than the model.
    """
    booster = lightgbm.Booster(model_str=model_text)
    if matrix.shape[1] != booster.num_feature():
        raise ValueError(f"the model takes {booster.num_feature()} features, the rows have {matrix.shape[1]}")
    scores = np.empty(len(matrix))
    for start in range(0, len(matrix), CHUNK_ROWS):
        rows = matrix[start : start + CHUNK_ROWS]
        scores[start : start + len(rows)] = booster.predict(rows, num_threads=threads)
        if progress is not None:
            progress(len(rows))
    return scores
