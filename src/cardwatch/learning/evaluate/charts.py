"""The report's figures, each with a description for those who cannot see it."""

import math

from cardwatch.learning.evaluate.measure import Evaluation
from cardwatch.learning.evaluate.svg import Axis, Drawing, steps_of
from cardwatch.learning.evaluate.tradeoffs import Tradeoff

_FIFTHS = tuple((number / 5, f"{number * 20}%") for number in range(6))
_CHANCES = (
    (1e-5, "0.001%"),
    (1e-4, "0.01%"),
    (1e-3, "0.1%"),
    (1e-2, "1%"),
    (0.1, "10%"),
    (0.5, "50%"),
    (0.9, "90%"),
    (0.99, "99%"),
)
_Z = 1.959964
"""The normal distribution's 97.5 % point, for intervals of a share."""


def precision_recall(found: Evaluation) -> str:
    """Precision against recall, with the threshold in use and what guessing would give."""
    points = [(one.recall, one.precision) for one in found.curve]
    base = found.data.frauds / found.data.payments
    drawing = Drawing(
        _share("Frauds found (recall)"),
        _share("Asked about and fraud (precision)"),
        description=f"Precision against recall; average precision {found.average_precision.value:.3f}. The threshold "
        f"in use finds {found.in_use.recall:.1%} of frauds at a precision of {found.in_use.precision:.1%}.",
    )
    drawing.line([(0, base), (1, base)], "guess")
    drawing.line(points, "one")
    _mark(drawing, (found.in_use.recall, found.in_use.precision), "threshold in use")
    return drawing.render()


def roc(found: Evaluation) -> str:
    """The ROC curve, with the threshold in use."""
    points = [(0.0, 0.0), *((one.false_alarm_rate, one.recall) for one in found.curve)]
    drawing = Drawing(
        _share("Genuine payments asked about"),
        _share("Frauds found"),
        description=f"Frauds found against genuine payments asked about; area {found.roc_auc.value:.4f}.",
    )
    drawing.line([(0, 0), (1, 1)], "guess")
    drawing.line(points, "one")
    _mark(drawing, (found.in_use.false_alarm_rate, found.in_use.recall), "threshold in use")
    return drawing.render()


def threshold_effects(found: Evaluation) -> str:
    """Recall and precision against the threshold."""
    drawing = Drawing(
        _threshold_axis(found),
        _share("Share"),
        description="Recall and precision at every threshold; the numbers stand in the table of thresholds.",
    )
    drawing.line([(one.threshold, one.recall) for one in found.curve], "one")
    drawing.line([(one.threshold, one.precision) for one in found.curve], "two dashed")
    drawing.upright(found.in_use.threshold, f"in use: {found.in_use.threshold:.4g}", height=0.5)
    return drawing.render()


def threshold_cost(found: Evaluation) -> str:
    """The expected cost of a thousand payments against the threshold, up to where it leaves all reason."""
    per_1000 = [(one.threshold, one.cost_minor * 10) for one in found.curve]
    nobody = max(found.curve, key=lambda one: one.threshold).cost_minor * 10
    ceiling = 1.6 * max(nobody, found.in_use.cost_minor * 10)
    ticks = steps_of(ceiling)
    drawing = Drawing(
        _threshold_axis(found),
        Axis(
            label="Cost per 1,000 payments", low=0, high=ticks[-1], ticks=tuple((one, f"{one:,.10g}") for one in ticks)
        ),
        description=f"Expected cost at every threshold; {found.in_use.cost_minor * 10:,.2f} per 1,000 payments at the "
        f"threshold in use, {found.cheapest.cost_minor * 10:,.2f} at the cheapest in hindsight.",
    )
    shown = [point for point in per_1000 if point[1] <= ticks[-1]]
    drawing.line(shown, "one")
    drawing.upright(found.in_use.threshold, f"in use: {found.in_use.threshold:.4g}")
    drawing.dot((found.cheapest.threshold, found.cheapest.cost_minor * 10), "hollow")
    return drawing.render()


def score_distribution(found: Evaluation) -> str:
    """How scores of frauds and of genuine payments are spread."""
    genuine = max(1, sum(one.genuine for one in found.histogram))
    frauds = max(1, sum(one.frauds for one in found.histogram))
    highest = max(max(one.genuine / genuine, one.frauds / frauds) for one in found.histogram)
    ticks = steps_of(highest)
    drawing = Drawing(
        _chance_axis("Score", found.histogram[0].low, found.histogram[-1].high),
        Axis(label="Share of its kind", low=0, high=ticks[-1], ticks=tuple((one, f"{one:.0%}") for one in ticks)),
        description="Spread of the scores of genuine payments and of frauds, each as shares of its own kind.",
    )
    drawing.bars([(one.low, one.high, one.genuine / genuine) for one in found.histogram], "fill-two")
    drawing.bars([(one.low, one.high, one.frauds / frauds) for one in found.histogram], "fill-one")
    drawing.upright(found.in_use.threshold, "threshold")
    return drawing.render()


def calibration(found: Evaluation) -> str:
    """Predicted against observed shares of fraud, with 95 % intervals."""
    bins = found.reliability
    low = max(1e-5, min(one.predicted for one in bins) / 2)
    drawing = Drawing(
        _chance_axis("Predicted share of fraud", low, max(one.predicted for one in bins)),
        _chance_axis("Observed share of fraud", low, max(max(one.observed, one.predicted) for one in bins)),
        description=f"Predicted against observed share of fraud in {len(bins)} groups of payments; expected "
        f"calibration error {found.calibration_error:.5f}.",
    )
    drawing.line([(low, low), (0.999, 0.999)], "guess")
    for one in bins:
        bounds = _wilson(one.observed, one.payments)
        drawing.line([(one.predicted, bounds[0]), (one.predicted, bounds[1])], "thin")
        style = "dot-one" if one.observed > 0 else "hollow"
        drawing.dot((one.predicted, one.observed), style, radius=3 + math.log10(one.payments))
    return drawing.render()


def _share(label: str) -> Axis:
    return Axis(label=label, low=0.0, high=1.0, ticks=_FIFTHS)


def _threshold_axis(found: Evaluation) -> Axis:
    used = [one.threshold for one in found.curve if one.challenges_per_1000 <= 300] or [found.in_use.threshold]
    return _chance_axis("Threshold", min([*used, found.in_use.threshold]), max([*used, found.in_use.threshold]))


def _chance_axis(label: str, low: float, high: float) -> Axis:
    low, high = min(max(low, 1e-6), 0.5), min(max(high, 1e-3), 0.999)
    ticks = tuple((value, words) for value, words in _CHANCES if low <= value <= high)
    return Axis(label=label, low=low, high=max(high, low * 1.5), ticks=ticks, scale="logit")


def _mark(drawing: Drawing, point: tuple[float, float], words: str) -> None:
    drawing.dot(point, "dot-marker")
    left = point[0] > 0.6
    drawing.words_at(point, words, anchor="end" if left else "start", shift=(-9, -9) if left else (9, 16))


def _wilson(share: float, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (1927), which holds for rare events too."""
    squared = _Z * _Z
    middle = (share + squared / (2 * count)) / (1 + squared / count)
    half = _Z * math.sqrt(share * (1 - share) / count + squared / (4 * count * count)) / (1 + squared / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def chosen_rows(found: Evaluation) -> tuple[tuple[str, Tradeoff], ...]:
    """Return the thresholds of the table with what each is, strictest first."""
    named = [(f"{one.challenges_per_1000:.3g} asked per 1,000", one) for one in found.budgets]
    named += [("in use", found.in_use), ("cheapest here", found.cheapest)]
    return tuple(sorted(named, key=lambda pair: -pair[1].threshold))
