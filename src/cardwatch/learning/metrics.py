"""How good scores are: ranking, calibration, and the threshold that costs least. Arrays of equal length, in and out.

Average precision and area under the curve treat equal scores as one step, as scikit-learn does.
"""

import numpy as np
from numpy.typing import NDArray

from cardwatch.models.bundle import Bin, Costs, Interval

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RELIABILITY_BINS = 15
BOOTSTRAP_ROUNDS = 200
COST_TOLERANCE = 0.02
"""The cost curve is flat and noisy near its lowest point: what costs at most so much more counts as equal."""


def average_precision(frauds: Integers, scores: Floats) -> float:
    """Return the mean of the precisions at each fraud, strongest score first; NaN without frauds."""
    caught, flagged = _curve(frauds, scores)
    total = caught[-1] if len(caught) else 0.0
    if total == 0:
        return float("nan")
    return float(np.sum(np.diff(caught, prepend=0.0) * caught / flagged) / total)


def roc_auc(frauds: Integers, scores: Floats) -> float:
    """Return the chance that a fraud scores above a genuine payment, ties counted half; NaN if one kind is missing."""
    caught, flagged = _curve(frauds, scores)
    if not len(caught) or caught[-1] == 0 or caught[-1] == flagged[-1]:
        return float("nan")
    false_alarms = flagged - caught
    heights = np.concatenate(([0.0], caught))
    area = np.sum(np.diff(false_alarms, prepend=0.0) * (heights[1:] + heights[:-1]) / 2)
    return float(area / (caught[-1] * false_alarms[-1]))


def _curve(frauds: Integers, scores: Floats) -> tuple[Floats, Floats]:
    """Return frauds caught and payments flagged at each distinct score, strongest first."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last_of_step = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], [True]))[: len(ordered)]
    caught = np.cumsum(frauds[order]).astype(np.float64)
    return caught[last_of_step], (last_of_step + 1).astype(np.float64)


def log_loss(frauds: Integers, scores: Floats) -> float:
    """Return the mean negative log-likelihood in nats."""
    clipped = np.clip(scores, 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(frauds == 1, np.log(clipped), np.log(1 - clipped))))


def reliability(frauds: Integers, scores: Floats) -> tuple[Bin, ...]:
    """Return payments by score, in bins of equal log-odds width, where rare fraud can be seen."""
    clipped = np.clip(scores, 1e-5, 1 - 1e-5)
    margins = np.log(clipped / (1 - clipped))
    edges = np.linspace(margins.min(), margins.max() + 1e-9, RELIABILITY_BINS + 1)
    bins = np.clip(np.searchsorted(edges, margins, side="right") - 1, 0, RELIABILITY_BINS - 1)
    members = (bins == number for number in range(RELIABILITY_BINS))
    return tuple(
        Bin(int(inside.sum()), float(scores[inside].mean()), float(frauds[inside].mean()))
        for inside in members
        if inside.any()
    )


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Return the expected calibration error: mean gap of predicted and observed, weighted by payments."""
    total = sum(one.payments for one in bins)
    return sum(one.payments * abs(one.predicted - one.observed) for one in bins) / total


def bootstrap(frauds: Integers, scores: Floats, *, seed: int) -> tuple[Interval, Interval]:
    """Return average precision and area under the curve with 95 % intervals over resampled payments."""
    generator = np.random.default_rng(seed)
    rounds = []
    for _ in range(BOOTSTRAP_ROUNDS):
        drawn = generator.integers(0, len(scores), len(scores))
        rounds.append((average_precision(frauds[drawn], scores[drawn]), roc_auc(frauds[drawn], scores[drawn])))
    low, high = np.nanpercentile(np.array(rounds), [2.5, 97.5], axis=0)
    precision, area = average_precision(frauds, scores), roc_auc(frauds, scores)
    return Interval(precision, float(low[0]), float(high[0])), Interval(area, float(low[1]), float(high[1]))


def cheapest_threshold(frauds: Integers, scores: Floats, amounts_minor: Integers, costs: Costs) -> tuple[float, float]:
    """Return the highest threshold of practically lowest cost, and that cost in minor units a payment.

    A missed fraud costs its amount, a genuine holder who is asked `wrong_challenge_minor`, any text `text_minor`.
    Among thresholds within `COST_TOLERANCE` of the lowest cost, the highest asks the fewest holders. It lies half-way
    (in log-odds) to the next lower score, so that it does not hang on one payment.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, fraud = scores[order], frauds[order].astype(np.float64)
    amounts = amounts_minor[order].astype(np.float64)
    asked = np.cumsum((1 - fraud) * costs.wrong_challenge_minor + costs.text_minor)
    missed = np.sum(fraud * amounts) - np.cumsum(fraud * amounts)
    cost = np.where(np.append(ordered[1:] != ordered[:-1], [True])[: len(ordered)], asked + missed, np.inf)
    best = int(np.argmax(cost <= cost.min() * (1 + COST_TOLERANCE)))
    threshold = _half_way(float(ordered[best]), float(ordered[best + 1])) if best + 1 < len(ordered) else 0.5
    return threshold, float(cost[best]) / len(scores)


def _half_way(upper: float, lower: float) -> float:
    """Return the middle of two probabilities in log-odds, rounded to four digits where that keeps it between them."""
    odds = np.sqrt(max(upper, 1e-9) / (1 - min(upper, 1 - 1e-9)) * max(lower, 1e-9) / (1 - min(lower, 1 - 1e-9)))
    middle = float(odds / (1 + odds))
    rounded = round(middle, 4)
    return rounded if lower < rounded <= upper else middle
