"""How good scores are: ranking, calibration, and the threshold that costs least. Arrays of equal length, in and out.

Average precision and area under the curve treat equal scores as one step, as scikit-learn does.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from cardwatch.models.bundle import Bin, Costs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Labels = NDArray[np.integer]
"""1 for fraud, 0 for genuine."""

RELIABILITY_BINS = 15
COST_TOLERANCE = 0.02
"""The cost curve is flat and noisy near its lowest point: what costs at most so much more counts as equal."""


class AtThreshold(msgspec.Struct, frozen=True):
    """What a threshold does to payments: shares from 0 to 1."""

    recall: float
    """Of the frauds, those that reach it."""
    precision: float
    """Of the payments that reach it, those that are fraud; 0 when none does."""
    challenged_share: float
    """Of the genuine payments, those that reach it."""


def at_threshold(frauds: Labels, scores: Floats, threshold: float) -> AtThreshold:
    """Return what asking about every payment from a score on would have found."""
    flagged, fraud = scores >= threshold, frauds == 1
    caught, asked = int((flagged & fraud).sum()), int(flagged.sum())
    total, genuine = int(fraud.sum()), int((~fraud).sum())
    return AtThreshold(
        recall=caught / total if total else 0.0,
        precision=caught / asked if asked else 0.0,
        challenged_share=(asked - caught) / genuine if genuine else 0.0,
    )


def average_precision(frauds: Labels, scores: Floats) -> float:
    """Return the mean of the precisions at each fraud, strongest score first; NaN without frauds."""
    caught, flagged = _curve(frauds, scores)
    total = caught[-1] if len(caught) else 0.0
    if total == 0:
        return float("nan")
    return float(np.sum(np.diff(caught, prepend=0.0) * caught / flagged) / total)


def roc_auc(frauds: Labels, scores: Floats) -> float:
    """Return the chance that a fraud scores above a genuine payment, ties counted half; NaN if one kind is missing."""
    caught, flagged = _curve(frauds, scores)
    if not len(caught) or caught[-1] == 0 or caught[-1] == flagged[-1]:
        return float("nan")
    false_alarms = flagged - caught
    heights = np.concatenate(([0.0], caught))
    area = np.sum(np.diff(false_alarms, prepend=0.0) * (heights[1:] + heights[:-1]) / 2)
    return float(area / (caught[-1] * false_alarms[-1]))


def _curve(frauds: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """Return frauds caught and payments flagged at each distinct score, strongest first."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last_of_step = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], [True]))[: len(ordered)]
    caught = np.cumsum(frauds[order]).astype(np.float64)
    return caught[last_of_step], (last_of_step + 1).astype(np.float64)


def log_loss(frauds: Labels | Floats, scores: Floats, *, weights: Floats | None = None) -> float:
    """Return the mean negative log-likelihood in nats, of rows that count `weights` each (None: all the same)."""
    clipped = np.clip(scores, 1e-12, 1 - 1e-12)
    losses = -np.where(frauds == 1, np.log(clipped), np.log(1 - clipped))
    return float(np.mean(losses) if weights is None else np.sum(losses * weights) / np.sum(weights))


def reliability(frauds: Labels, scores: Floats) -> tuple[Bin, ...]:
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


def cheapest_threshold(frauds: Labels, scores: Floats, amounts_minor: Integers, costs: Costs) -> tuple[float, float]:
    """Return the highest threshold of practically lowest cost, and that cost in minor units a payment.

    A missed fraud costs its amount, a genuine holder who is asked `wrong_challenge_minor`, any text `text_minor`.
    Among thresholds within `COST_TOLERANCE` of the lowest cost, the highest asks the fewest holders; nobody is asked
    only where that is cheaper than any asking. It lies half-way (in log-odds) to the next lower score, so that it does
    not hang on one payment.
    """
    steps, cost = cost_curve(frauds, scores, amounts_minor, costs)
    nobody = float(np.sum(amounts_minor[frauds == 1], dtype=np.float64))
    if nobody < cost.min():
        return _half_way(1.0, float(steps[0])), nobody / len(scores)
    best = int(np.argmax(cost <= cost.min() * (1 + COST_TOLERANCE)))
    threshold = _half_way(float(steps[best]), float(steps[best + 1])) if best + 1 < len(steps) else float(steps[best])
    return threshold, float(cost[best]) / len(scores)


def cost_curve(frauds: Labels, scores: Floats, amounts_minor: Integers, costs: Costs) -> tuple[Floats, Floats]:
    """Return the distinct scores, falling, and what asking from each on would cost altogether, in minor units."""
    order = np.argsort(-scores, kind="stable")
    ordered, fraud = scores[order], frauds[order].astype(np.float64)
    lost = fraud * amounts_minor[order]
    cost = np.cumsum((1 - fraud) * costs.wrong_challenge_minor + costs.text_minor) + (lost.sum() - np.cumsum(lost))
    last_of_step = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], [True]))
    return ordered[last_of_step], cost[last_of_step]


def _half_way(upper: float, lower: float) -> float:
    """Return the middle of two probabilities in log-odds, rounded to four digits where that keeps it between them."""
    odds = np.sqrt(max(upper, 1e-9) / (1 - min(upper, 1 - 1e-9)) * max(lower, 1e-9) / (1 - min(lower, 1 - 1e-9)))
    middle = float(odds / (1 + odds))
    rounded = round(middle, 4)
    return rounded if lower < rounded <= upper else middle
