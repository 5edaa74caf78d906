"""Everything that the report says about a model on a window of payments, as values."""

from collections.abc import Sequence

import msgspec
import numpy as np

from cardwatch.learning import metrics
from cardwatch.learning.batch_scoring import batch_scores
from cardwatch.learning.evaluate.card_precision import card_precision
from cardwatch.learning.evaluate.importance import Importance, importances
from cardwatch.learning.evaluate.segments import Segment, by_segment
from cardwatch.learning.evaluate.tradeoffs import Tradeoff, budgets, curve, tradeoff
from cardwatch.learning.intervals import bootstrap
from cardwatch.learning.metrics import Floats, Labels
from cardwatch.learning.train import Rows
from cardwatch.models.bundle import Bin, Bundle, Costs, Interval

HISTOGRAM_BINS = 24
SEED = 1
"""Of the resampling behind the intervals."""


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured on."""

    source: str
    payments: int
    frauds: int
    accounts: int
    from_ms: int
    """The first payment's time."""
    until_ms: int
    """The last payment's."""
    rejected: int
    """Rows of the file that could not be used."""


class Scored(msgspec.Struct, frozen=True):
    """Payments whose score lies between two bounds."""

    low: float
    high: float
    genuine: int
    frauds: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A model on a window of payments."""

    model_version: str
    data: Data
    costs: Costs
    average_precision: Interval
    roc_auc: Interval
    card_precision_100: float
    log_loss: float
    calibration_error: float
    reliability: tuple[Bin, ...]
    in_use: Tradeoff
    """The model's own threshold."""
    cheapest: Tradeoff
    """The threshold that would have cost practically least here, in hindsight."""
    budgets: tuple[Tradeoff, ...]
    curve: tuple[Tradeoff, ...]
    histogram: tuple[Scored, ...]
    segments: tuple[Segment, ...]
    importances: tuple[Importance, ...]


def measure(
    bundle: Bundle,
    rows: Rows,
    *,
    accounts: Sequence[str],
    source: str,
    rejected: int = 0,
    costs: Costs | None = None,
    threads: int = 0,
) -> Evaluation:
    """Score rows (in order of time, with the bundle's features) and measure; `accounts` holds each row's account.

    Costs are the bundle's unless others are given.
    """
    facts = bundle.facts
    costs = costs or facts.costs or Costs()
    scores = batch_scores(bundle.model_text, rows.matrix, threads=threads)
    frauds, amounts = rows.frauds, rows.amounts_minor
    precision, area = bootstrap(frauds, scores, seed=SEED)
    bins = metrics.reliability(frauds, scores)
    cheapest, _ = metrics.cheapest_threshold(frauds, scores, amounts, costs)
    return Evaluation(
        model_version=facts.model_version,
        data=_data(rows, accounts, source=source, rejected=rejected),
        costs=costs,
        average_precision=precision,
        roc_auc=area,
        card_precision_100=card_precision(frauds, scores, rows.times_ms, accounts),
        log_loss=metrics.log_loss(frauds, scores),
        calibration_error=metrics.calibration_error(bins),
        reliability=bins,
        in_use=tradeoff(frauds, scores, amounts, costs, facts.threshold),
        cheapest=tradeoff(frauds, scores, amounts, costs, cheapest),
        budgets=budgets(frauds, scores, amounts, costs),
        curve=curve(frauds, scores, amounts, costs),
        histogram=_histogram(frauds, scores),
        segments=by_segment(
            rows.matrix,
            facts.feature_names,
            frauds=frauds,
            scores=scores,
            amounts_minor=amounts,
            times_ms=rows.times_ms,
            threshold=facts.threshold,
        ),
        importances=importances(bundle.model_text, rows.matrix, facts.feature_names, threads=threads),
    )


def _data(rows: Rows, accounts: Sequence[str], *, source: str, rejected: int) -> Data:
    return Data(
        source=source,
        payments=len(rows.frauds),
        frauds=int(rows.frauds.sum()),
        accounts=len(set(accounts)),
        from_ms=int(rows.times_ms[0]),
        until_ms=int(rows.times_ms[-1]),
        rejected=rejected,
    )


def _histogram(frauds: Labels, scores: Floats) -> tuple[Scored, ...]:
    """Return payments by score in bins of equal width in log-odds, where the rare high scores can be seen."""
    margins = np.log(np.clip(scores, 1e-6, 1 - 1e-6) / (1 - np.clip(scores, 1e-6, 1 - 1e-6)))
    edges = np.linspace(margins.min(), margins.max() + 1e-9, HISTOGRAM_BINS + 1)
    counts = [np.histogram(margins[frauds == label], edges)[0] for label in (0, 1)]
    bounds = 1 / (1 + np.exp(-edges))
    return tuple(
        Scored(float(bounds[at]), float(bounds[at + 1]), int(counts[0][at]), int(counts[1][at]))
        for at in range(HISTOGRAM_BINS)
    )
