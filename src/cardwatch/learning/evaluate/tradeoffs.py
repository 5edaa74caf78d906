"""What each threshold would mean: frauds found, holders asked in vain, and what it all costs."""

import msgspec
import numpy as np

from cardwatch.learning.metrics import Floats, Integers, Labels, at_threshold
from cardwatch.models.bundle import Costs

CHALLENGES_PER_1000 = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Budgets of questions that the table answers, beside the threshold in use."""

_POINTS_MAX = 240


class Tradeoff(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold: payments that reach it are asked about."""

    threshold: float
    recall: float
    precision: float
    false_alarm_rate: float
    """Share of genuine payments that reach it."""
    challenges_per_1000: float
    """Payments that reach it, fraud or not, of a thousand."""
    cost_minor: float
    """A payment, in minor units: missed frauds, holders asked in vain, texts."""


def tradeoff(frauds: Labels, scores: Floats, amounts_minor: Integers, costs: Costs, threshold: float) -> Tradeoff:
    """Return what one threshold would mean."""
    at = at_threshold(frauds, scores, threshold)
    asked = scores >= threshold
    missed = float(np.sum(amounts_minor[(frauds == 1) & ~asked], dtype=np.float64))
    wrongly = int((asked & (frauds == 0)).sum())
    cost = missed + wrongly * costs.wrong_challenge_minor + int(asked.sum()) * costs.text_minor
    return Tradeoff(
        threshold=threshold,
        recall=at.recall,
        precision=at.precision,
        false_alarm_rate=at.challenged_share,
        challenges_per_1000=1000 * float(asked.mean()),
        cost_minor=cost / len(scores),
    )


def budgets(frauds: Labels, scores: Floats, amounts_minor: Integers, costs: Costs) -> tuple[Tradeoff, ...]:
    """Return the thresholds that ask about so many payments of a thousand, strictest first."""
    falling = -np.sort(-scores)
    chosen = {float(falling[min(len(falling) - 1, int(len(falling) * one / 1000))]) for one in CHALLENGES_PER_1000}
    return tuple(
        tradeoff(frauds, scores, amounts_minor, costs, threshold) for threshold in sorted(chosen, reverse=True)
    )


def curve(frauds: Labels, scores: Floats, amounts_minor: Integers, costs: Costs) -> tuple[Tradeoff, ...]:
    """Return thresholds from the strictest on, enough of them to draw: dense where recall or alarms change."""
    order = np.argsort(-scores, kind="stable")
    ordered, fraud = scores[order], frauds[order] == 1
    caught, lost = np.cumsum(fraud), np.cumsum(np.where(fraud, amounts_minor[order], 0).astype(np.float64))
    asked = np.arange(1, len(scores) + 1)
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], [True]))
    at = _thinned(last, caught)
    alarms = asked[at] - caught[at]
    total, genuine = max(1, int(caught[-1])), max(1, len(scores) - int(caught[-1]))
    cost = lost[-1] - lost[at] + alarms * costs.wrong_challenge_minor + asked[at] * costs.text_minor
    return tuple(
        Tradeoff(
            threshold=float(ordered[row]),
            recall=float(caught[row] / total),
            precision=float(caught[row] / asked[row]),
            false_alarm_rate=float(alarms[number] / genuine),
            challenges_per_1000=1000 * float(asked[row] / len(scores)),
            cost_minor=float(cost[number] / len(scores)),
        )
        for number, row in enumerate(at)
    )


def _thinned(last: Integers, caught: Integers) -> Integers:
    """Return some of the rows that end a step: evenly over frauds caught, over ranks, and over ranks' logarithm."""
    if len(last) <= _POINTS_MAX:
        return last
    share = _POINTS_MAX // 3
    by_fraud = np.searchsorted(caught[last], np.linspace(1, caught[-1], share))
    by_rank = np.linspace(0, len(last) - 1, share)
    by_logarithm = np.geomspace(1, len(last), share) - 1
    chosen = np.unique(np.concatenate((by_fraud, by_rank, by_logarithm)).astype(np.int64))
    return last[np.clip(chosen, 0, len(last) - 1)]
