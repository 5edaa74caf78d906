"""Metrics are what they say: against counts by hand, against brute force, and against resampling row by row."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.learning import metrics
from cardwatch.learning.intervals import bootstrap
from cardwatch.models.bundle import Costs

CASES = st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.integers(1, 20_000)), min_size=2, max_size=25)
"""Payments: whether it is fraud, its score in tenths (so that scores tie), its amount."""


def test_ranking_metrics_agree_with_hand_counts() -> None:
    """Average precision and area under the curve on cases small enough to count, ties among them."""
    frauds, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    assert metrics.average_precision(frauds, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.roc_auc(frauds, scores) == pytest.approx(3 / 4)
    tied = np.array([0.5, 0.5, 0.5, 0.5])
    assert metrics.roc_auc(frauds, tied) == pytest.approx(0.5)
    assert metrics.average_precision(frauds, tied) == pytest.approx(0.5)
    assert math.isnan(metrics.roc_auc(np.array([0, 0]), np.array([0.1, 0.2])))


def test_the_threshold_weighs_missed_fraud_against_asking() -> None:
    """Cheap fraud is let go where asking is dear, and dear fraud is worth asking about."""
    frauds, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.6, 0.5, 0.1])
    amounts = np.array([100_000, 1000, 1000, 1000])
    costly, _ = metrics.cheapest_threshold(frauds, scores, amounts, Costs(wrong_challenge_minor=5000, text_minor=1))
    cheap, cost = metrics.cheapest_threshold(frauds, scores, amounts, Costs(wrong_challenge_minor=100, text_minor=1))
    assert 0.6 < costly <= 0.9
    assert 0.1 < cheap <= 0.5
    assert cost == pytest.approx((100 + 3) / 4)


@given(CASES, st.integers(0, 9000), st.integers(0, 50))
def test_no_threshold_costs_practically_less_than_the_chosen_one(
    cases: list[tuple[bool, int, int]], wrong: int, text: int
) -> None:
    """Every other threshold is tried, asking nobody too; and none that asks fewer people costs as little."""
    frauds = np.array([int(fraud) for fraud, _, _ in cases])
    scores = np.array([score / 10 for _, score, _ in cases])
    amounts = np.array([amount for _, _, amount in cases])

    def cost(threshold: float) -> float:
        asked = scores >= threshold
        missed = amounts[(frauds == 1) & ~asked].sum()
        return float(missed + wrong * (asked & (frauds == 0)).sum() + text * asked.sum())

    threshold, said = metrics.cheapest_threshold(
        frauds, scores, amounts, Costs(wrong_challenge_minor=wrong, text_minor=text)
    )
    enough = min(cost(tried) for tried in [*np.unique(scores), 1.0]) * (1 + metrics.COST_TOLERANCE)
    assert said * len(cases) == pytest.approx(cost(threshold))
    assert cost(threshold) <= enough + 1e-9
    lowest_asked = scores[scores >= threshold].min(initial=1.0)
    assert all(cost(tried) > enough - 1e-9 for tried in np.unique(scores) if tried > lowest_asked)


def test_scores_that_are_right_have_no_calibration_error() -> None:
    """Frauds drawn with the predicted probability give a small error, those of twice the probability a large one."""
    generator = np.random.default_rng(3)
    scores = generator.random(50_000) * 0.4
    right = (generator.random(50_000) < scores).astype(np.int64)
    wrong = (generator.random(50_000) < 2 * scores).astype(np.int64)
    assert metrics.calibration_error(metrics.reliability(right, scores)) < 0.01
    assert metrics.calibration_error(metrics.reliability(wrong, scores)) > 0.1


@given(CASES.filter(lambda cases: 0 < sum(fraud for fraud, _, _ in cases) < len(cases)), st.integers(0, 99))
def test_intervals_hold_the_value_that_every_payment_gives(cases: list[tuple[bool, int, int]], seed: int) -> None:
    """Values are those of the plain functions, and the same seed gives the same interval."""
    frauds = np.array([int(fraud) for fraud, _, _ in cases])
    scores = np.array([score / 10 for _, score, _ in cases])
    found = bootstrap(frauds, scores, seed=seed)
    assert found[0].value == metrics.average_precision(frauds, scores)
    assert found[1].value == metrics.roc_auc(frauds, scores)
    assert found == bootstrap(frauds, scores, seed=seed)
    assert all(0 <= one.low <= one.high <= 1 for one in found)


def test_intervals_are_those_of_drawing_payments_one_by_one() -> None:
    """The draw over gaps between frauds spreads as the plain bootstrap does, scores that tie among them."""
    generator = np.random.default_rng(8)
    frauds = (generator.random(3000) < 0.05).astype(np.int64)
    scores = np.round(1 / (1 + np.exp(3 - 2 * frauds - generator.standard_normal(3000))), 2)
    rounds = []
    for _ in range(2000):
        drawn = generator.integers(0, 3000, 3000)
        rounds.append(
            (metrics.average_precision(frauds[drawn], scores[drawn]), metrics.roc_auc(frauds[drawn], scores[drawn]))
        )
    low, high = np.percentile(np.array(rounds), [2.5, 97.5], axis=0)
    for number, one in enumerate(bootstrap(frauds, scores, seed=1, rounds=2000)):
        assert one.low == pytest.approx(low[number], abs=0.008)
        assert one.high == pytest.approx(high[number], abs=0.008)
