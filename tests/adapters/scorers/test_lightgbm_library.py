"""The model scored through the C library gives what LightGBM's own Booster gives, bit for bit."""

import math
import random
import subprocess
import sys
import threading
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardwatch.adapters.scorers.lightgbm_library import LibraryModel
from cardwatch.domain.errors import ScorerUnavailable

FEATURES = 12
AWKWARD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.7e308, -1.7e308]


def random_booster() -> lightgbm.Booster:
    """Train a small model on random rows with missing values."""
    numbers = np.random.default_rng(7)
    rows = numbers.normal(size=(4000, FEATURES)) * 100
    rows[numbers.random(rows.shape) < 0.1] = math.nan
    labels = (np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 1]) > 120).astype(float)
    parameters = {"objective": "binary", "num_leaves": 31, "verbose": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(parameters, lightgbm.Dataset(rows, labels), 40)


BOOSTER = random_booster()
MODEL = LibraryModel(BOOSTER.model_to_string())

value = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(-400, 400), st.sampled_from(AWKWARD))
row = st.lists(value, min_size=FEATURES, max_size=FEATURES)


@settings(max_examples=300, deadline=None)
@given(row)
def test_score_is_bit_identical_to_booster_predict(values: list[float]) -> None:
    """Any row of doubles, missing and infinite ones among them, scores the same bits as Booster.predict."""
    assert MODEL.score(values) == BOOSTER.predict(np.array([values]), num_threads=1)[0]


@settings(max_examples=100, deadline=None)
@given(row)
def test_contributions_are_the_boosters_and_sum_to_the_margin(values: list[float]) -> None:
    """TreeSHAP values are those of Booster.predict and add up to the raw score."""
    contributions = MODEL.contributions(values)
    assert list(contributions) == BOOSTER.predict(np.array([values]), pred_contrib=True, num_threads=1)[0].tolist()
    margin = BOOSTER.predict(np.array([values]), raw_score=True, num_threads=1)[0]
    assert sum(contributions) == pytest.approx(margin, abs=1e-9)


def test_threads_sharing_a_model_get_their_own_scores() -> None:
    """Several threads that score and explain at once each get the answer to their own row."""
    generator = random.Random(5)
    rows = [[generator.gauss(0, 100) for _ in range(FEATURES)] for _ in range(200)]
    expected = [(MODEL.score(values), MODEL.contributions(values)) for values in rows]
    wrong: list[int] = []

    def work() -> None:
        for index, values in enumerate(rows):
            if (MODEL.score(values), MODEL.contributions(values)) != expected[index]:
                wrong.append(index)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("values", [[], [1.0] * (FEATURES - 1), [1.0] * (FEATURES + 1)])
def test_a_row_of_the_wrong_length_is_refused(values: list[float]) -> None:
    """A row that does not fit the model is an error, never a guess."""
    with pytest.raises(ScorerUnavailable, match="do not fit"):
        MODEL.score(values)


def test_a_missing_library_is_one_clear_error(tmp_path: Path) -> None:
    """A library path that does not exist says so."""
    with pytest.raises(ScorerUnavailable, match="cannot be loaded"):
        LibraryModel(BOOSTER.model_to_string(), library=tmp_path / "absent.so")


@pytest.mark.parametrize("text", ["", "not a model", "tree\nversion=v4\n"])
def test_a_broken_model_is_an_error_not_a_crash(text: str) -> None:
    """Text that is no model is refused by the library and reported as such."""
    with pytest.raises(ScorerUnavailable):
        LibraryModel(text)


def test_a_closed_model_refuses_to_score() -> None:
    """After close the model answers with an error instead of freed memory."""
    model = LibraryModel(BOOSTER.model_to_string())
    model.close()
    with pytest.raises(ScorerUnavailable, match="closed"):
        model.score([0.0] * FEATURES)


def test_scoring_imports_neither_numpy_nor_lightgbm(tmp_path: Path) -> None:
    """A process that scores has none of the heavy packages loaded."""
    model_file = tmp_path / "model.txt"
    model_file.write_text(BOOSTER.model_to_string())
    program = (
        "import sys, pathlib\n"
        "from cardwatch.adapters.scorers.lightgbm_library import LibraryModel\n"
        f"model = LibraryModel(pathlib.Path({str(model_file)!r}).read_text())\n"
        f"model.score([0.0] * {FEATURES})\n"
        "print({'numpy', 'scipy', 'lightgbm', 'pandas', 'polars'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
