"""Leaving out genuine payments: all frauds stay, weights make up for the others, and probabilities keep meaning."""

import lightgbm
import numpy as np
import pytest

from cardwatch.learning.fitting import BinnedWindow, Growth
from cardwatch.learning.metrics import Floats, Labels
from cardwatch.learning.sampling import kept_rows, row_weights

FRAUDS = (np.random.default_rng(1).random(50_000) < 0.01).astype(np.int8)


def test_all_frauds_and_about_the_share_of_the_others_stay() -> None:
    """Rows come in their order; a share of one keeps every row."""
    kept = kept_rows(FRAUDS, share=0.2, seed=3)
    assert np.all(np.diff(kept) > 0)
    assert FRAUDS[kept].sum() == FRAUDS.sum()
    assert np.mean(FRAUDS[kept] == 0) * len(kept) / np.sum(FRAUDS == 0) == pytest.approx(0.2, abs=0.01)
    assert np.array_equal(kept_rows(FRAUDS, share=1.0, seed=3), np.arange(len(FRAUDS)))


def test_the_same_seed_keeps_the_same_rows_and_another_others() -> None:
    """A row's fate hangs on its number and the seed, not on what follows it."""
    kept = kept_rows(FRAUDS, share=0.2, seed=3)
    assert np.array_equal(kept, kept_rows(FRAUDS, share=0.2, seed=3))
    assert np.array_equal(kept[kept < 20_000], kept_rows(FRAUDS[:20_000], share=0.2, seed=3))
    other = kept_rows(FRAUDS, share=0.2, seed=4)
    assert 0.1 < len(np.intersect1d(kept, other)) / len(kept) < 0.35


def test_weights_make_up_for_what_was_left_out() -> None:
    """The weighted count of genuine payments is the count of all, within chance; without sampling there are none."""
    kept = FRAUDS[kept_rows(FRAUDS, share=0.25, seed=1)]
    weights = row_weights(kept, share=0.25, fraud_weight=1.0)
    assert weights is not None
    assert weights[kept == 0].sum() == pytest.approx(np.sum(FRAUDS == 0), rel=0.02)
    assert np.all(weights[kept == 1] == 1)
    assert row_weights(kept, share=1.0, fraud_weight=1.0) is None


def test_probabilities_stay_calibrated_on_a_tenth_of_the_genuine_payments() -> None:
    """The predicted share of fraud is the true one, and among suspicious payments near what all rows give."""
    matrix, frauds = _population(60_000, seed=2)
    fresh, _ = _population(60_000, seed=9)
    whole, tenth = (
        np.asarray(_grown(matrix, frauds, Growth(genuine_share=share, threads=1)).predict(fresh, num_threads=1))
        for share in (1.0, 0.1)
    )
    assert tenth.mean() == pytest.approx(whole.mean(), rel=0.06)
    assert tenth.mean() == pytest.approx(frauds.mean(), rel=0.12)
    for suspicious in (whole > 0.05, whole > 0.15):
        assert tenth[suspicious].mean() == pytest.approx(whole[suspicious].mean(), rel=0.2)


def _grown(matrix: Floats, frauds: Labels, growth: Growth) -> lightgbm.Booster:
    window = BinnedWindow(matrix, frauds, names=("a", "b"), bins_until=len(frauds), growth=growth)
    return window.grow(len(frauds), trees=80)


def _population(count: int, *, seed: int) -> tuple[Floats, Labels]:
    """Return rows, and labels drawn with a chance that rises with both features."""
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((count, 2))
    chances = 1 / (1 + np.exp(5 - 1.5 * matrix[:, 0] - matrix[:, 1]))
    return matrix, (generator.random(count) < chances).astype(np.int8)
