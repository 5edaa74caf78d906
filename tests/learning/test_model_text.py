"""Models as text: several become one whose margin is the mean, and a line folded into the leaves stays a line."""

import lightgbm
import numpy as np
import pytest

from cardwatch.adapters.scorers.lightgbm_library import LibraryModel
from cardwatch.learning.batch_scoring import CHUNK_ROWS, batch_scores
from cardwatch.learning.metrics import Floats
from cardwatch.learning.model_text import merge_boosters, text_of, with_margins

ROWS = np.random.default_rng(5).standard_normal((4000, 6))
LABELS = (np.random.default_rng(6).random(4000) < 1 / (1 + np.exp(3 - 2 * ROWS[:, 0] * ROWS[:, 1]))).astype(int)
HOLES = np.where(np.random.default_rng(7).random(ROWS.shape) < 0.1, np.nan, ROWS)
"""Rows with missing values, which trees send their own way."""


def grown(seed: int, *, trees: int = 20, threads: int = 1, columns: int = 6) -> lightgbm.Booster:
    """Grow a small model."""
    parameters = {"objective": "binary", "num_leaves": 7, "seed": seed, "num_threads": threads, "verbosity": -1}
    parameters |= {"bagging_fraction": 0.5, "bagging_freq": 1, "deterministic": True, "force_row_wise": True}
    return lightgbm.train(parameters, lightgbm.Dataset(HOLES[:, :columns], LABELS), trees)


def margins(booster: lightgbm.Booster) -> Floats:
    """Return what a model adds up to for every row."""
    return np.asarray(booster.predict(HOLES, raw_score=True, num_threads=1))


def test_a_merged_model_predicts_the_mean_margin() -> None:
    """Three models of different sizes become one with all their trees, read back from its own text."""
    boosters = [grown(seed, trees=10 + seed) for seed in (1, 2, 3)]
    merged = merge_boosters(boosters)
    assert merged.num_trees() == 11 + 12 + 13
    expected = np.mean([margins(booster) for booster in boosters], axis=0)
    assert margins(merged) == pytest.approx(expected, abs=1e-12)
    again = lightgbm.Booster(model_str=text_of(merged))
    assert np.array_equal(margins(again), margins(merged))


def test_one_model_merged_is_itself_and_strangers_are_refused() -> None:
    """There must be a model, and all must know the same features."""
    alone = grown(1)
    assert merge_boosters([alone]) is alone
    with pytest.raises(ValueError, match="no model"):
        merge_boosters([])
    with pytest.raises(ValueError, match="different features"):
        merge_boosters([alone, grown(1, columns=5)])


@pytest.mark.parametrize("trees", [1, 20])
def test_a_line_folded_into_the_leaves_keeps_ranking_and_additivity(trees: int) -> None:
    """Margins lie on the line, stand in the same order, and contributions through the C library add up to them."""
    booster = grown(4, trees=trees)
    moved = with_margins(booster, slope=0.7, intercept=-1.3)
    assert margins(moved) == pytest.approx(0.7 * margins(booster) - 1.3, abs=1e-12)
    order = np.argsort(margins(booster), kind="stable")
    assert np.all(np.diff(margins(moved)[order]) >= -1e-12)
    model = LibraryModel(text_of(moved))
    for row, margin in zip(HOLES[:20], margins(moved), strict=False):
        assert sum(model.contributions(row.tolist())) == pytest.approx(margin, abs=1e-9)


def test_a_line_that_would_turn_the_ranking_round_is_refused() -> None:
    """A slope of 0 or below is none."""
    for slope in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="above 0"):
            with_margins(grown(1), slope=slope, intercept=0.0)


def test_a_models_text_does_not_tell_the_number_of_threads() -> None:
    """The same trees are the same bytes, grown on one thread, two or five."""
    assert len({text_of(grown(1, threads=threads)) for threads in (1, 2, 5)}) == 1


def test_scores_in_a_batch_are_those_one_by_one_bit_for_bit() -> None:
    """On any number of threads, over a border of chunks, and through the library that serves."""
    text = text_of(merge_boosters([grown(1), grown(2)]))
    many = np.tile(HOLES, (CHUNK_ROWS // len(HOLES) + 2, 1))
    heard: list[int] = []
    scores = batch_scores(text, many, threads=2, progress=heard.append)
    assert len(heard) > 1
    assert sum(heard) == len(many)
    assert np.array_equal(scores, batch_scores(text, many, threads=1))
    model = LibraryModel(text)
    border = slice(CHUNK_ROWS - 500, CHUNK_ROWS + 500)
    assert scores[border].tolist() == [model.score(row) for row in many[border].tolist()]


def test_rows_of_another_width_are_refused() -> None:
    """A model never reads beyond a row."""
    with pytest.raises(ValueError, match="takes 6 features, the rows have 5"):
        batch_scores(text_of(grown(1)), ROWS[:, :5])
