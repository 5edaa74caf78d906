"""95 % intervals of ranking metrics by the bootstrap: payments drawn again, with replacement, as many as there are.

Ranking metrics ask only how many genuine payments stand between one fraud and the next. So a draw of millions of
payments is one multinomial draw over the gaps between frauds: the same distribution, at the cost of the frauds alone.
"""

import msgspec
import numpy as np

from cardwatch.learning.metrics import Floats, Integers, Labels, average_precision, roc_auc
from cardwatch.models.bundle import Interval

ROUNDS = 200


class _Steps(msgspec.Struct, frozen=True):
    """Payments by score, strongest first: for each score that a fraud has, how many are there and just above."""

    frauds: Integers
    tied: Integers
    """Genuine payments of exactly that score."""
    above: Integers
    """Genuine payments between it and the step before."""
    below: int
    """Genuine payments under the last step."""


def bootstrap(frauds: Labels, scores: Floats, *, seed: int, rounds: int = ROUNDS) -> tuple[Interval, Interval]:
    """Return average precision and area under the ROC curve, each with its interval; NaN where a kind is missing."""
    precision, area = average_precision(frauds, scores), roc_auc(frauds, scores)
    if np.isnan(area):
        return Interval(precision, precision, precision), Interval(area, area, area)
    steps = _steps(frauds, scores)
    counts = np.concatenate((steps.frauds, steps.tied, steps.above, [steps.below]))
    drawn = np.random.default_rng(seed).multinomial(len(scores), counts / counts.sum(), size=rounds)
    measured = _measured(drawn.astype(np.float64), len(steps.frauds))
    low, high = np.nanpercentile(measured, [2.5, 97.5], axis=1)
    return Interval(precision, float(low[0]), float(high[0])), Interval(area, float(low[1]), float(high[1]))


def _steps(frauds: Labels, scores: Floats) -> _Steps:
    values = np.unique(scores[frauds == 1])[::-1]
    counted = -np.sort(-scores[frauds == 1])
    genuine = np.sort(-scores[frauds == 0])
    ends = np.searchsorted(genuine, -values, side="right")
    starts = np.searchsorted(genuine, -values, side="left")
    fraud_ends = np.searchsorted(-counted, -values, side="right")
    return _Steps(
        frauds=np.diff(fraud_ends, prepend=0),
        tied=ends - starts,
        above=starts - np.concatenate(([0], ends[:-1])),
        below=int(len(genuine) - ends[-1]),
    )


def _measured(drawn: Floats, steps: int) -> Floats:
    """Return average precision and area under the curve (rows) of each draw (columns)."""
    frauds, tied, above = drawn[:, :steps], drawn[:, steps : 2 * steps], drawn[:, 2 * steps : 3 * steps]
    caught = np.cumsum(frauds, axis=1)
    alarms = np.cumsum(tied + above, axis=1)
    total, genuine = caught[:, -1], alarms[:, -1] + drawn[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(frauds > 0, caught / (caught + alarms), 0.0)
        precision = np.sum(frauds * shares, axis=1) / total
        weaker = genuine[:, None] - alarms + tied / 2
        area = np.sum(frauds * weaker, axis=1) / (total * genuine)
    return np.array([precision, area])
