"""A bundle may use some of the computed features, in any order; its columns are picked by name."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardwatch.adapters.models import open_scorer
from cardwatch.adapters.scorers.bundle_scorer import BundleScorer
from cardwatch.domain.errors import ScorerUnavailable
from cardwatch.features.engine import default_engine
from cardwatch.models.bundle import write_bundle
from tests.support.bundles import bundle_of, make_facts, train_booster

ENGINE = default_engine()
SUBSETS = {
    "some": ("night", "amount_to_median", "amount", "speed_kmh"),
    "another order": ENGINE.names[::-1],
    "one": ("account_count_1h",),
    "all": ENGINE.names,
}
BOOSTERS = {kind: train_booster(names) for kind, names in SUBSETS.items()}
SCORERS = {kind: BundleScorer(bundle_of(booster), features=ENGINE.describe()) for kind, booster in BOOSTERS.items()}

number = st.one_of(st.just(math.nan), st.floats(-500, 500), st.floats(allow_nan=True, allow_infinity=True))
vectors = st.lists(number, min_size=len(ENGINE.names), max_size=len(ENGINE.names))


def columns(kind: str, vector: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the row that the model itself takes."""
    by_name = dict(zip(ENGINE.names, vector, strict=True))
    return np.array([[by_name[name] for name in SUBSETS[kind]]])


@pytest.mark.parametrize("kind", SUBSETS)
@settings(max_examples=60, deadline=None)
@given(vector=vectors)
def test_a_vector_scores_as_the_models_own_columns_do(kind: str, vector: list[float]) -> None:
    """Bit for bit what LightGBM gives for the columns in the model's order."""
    expected = BOOSTERS[kind].predict(columns(kind, vector), num_threads=1)[0]
    assert SCORERS[kind].score(vector) == expected


@pytest.mark.parametrize("kind", SUBSETS)
@settings(max_examples=60, deadline=None)
@given(vector=vectors)
def test_an_explanation_adds_up_to_the_score_for_any_vector(kind: str, vector: list[float]) -> None:
    """Base and contributions are the margin, its logistic function is the score, whatever is missing."""
    scorer = SCORERS[kind]
    told = scorer.explain(vector, currency="USD")
    margin = float(BOOSTERS[kind].predict(columns(kind, vector), raw_score=True, num_threads=1)[0])
    total = math.fsum((told.base, *(reason.contribution for reason in told.reasons)))
    assert total == pytest.approx(told.margin, rel=1e-9, abs=1e-12)
    assert told.margin == pytest.approx(margin, rel=1e-9, abs=1e-9)
    assert 1 / (1 + math.exp(-told.margin)) == pytest.approx(scorer.score(vector), rel=1e-9)
    assert {reason.feature for reason in told.reasons} == set(SUBSETS[kind])


def test_reasons_follow_the_models_own_features_and_medians() -> None:
    """What a model does not use is no reason of it; what is usual is told even if the model does not use that."""
    medians = {"night": 0.0, "amount_to_median": 2.0, "amount": 1e9, "speed_kmh": 1.0}
    bundle = bundle_of(BOOSTERS["some"], feature_medians=tuple(medians[name] for name in SUBSETS["some"]))
    values = {**dict.fromkeys(ENGINE.names, 400.0), "amount": 150_000.0, "account_amount_median": 4820.0}
    scorer = BundleScorer(bundle, features=ENGINE.describe())
    reasons = scorer.explain([values[name] for name in ENGINE.names], currency="USD").reasons
    texts = {reason.feature: reason.text for reason in reasons}
    assert texts["amount"] == "The amount, $1,500.00, is low (usual: $48.20)"
    assert set(texts) == set(SUBSETS["some"])


@pytest.mark.parametrize("kind", SUBSETS)
@pytest.mark.parametrize("length", [0, len(ENGINE.names) - 1, len(ENGINE.names) + 1])
def test_a_vector_of_another_length_is_refused(kind: str, length: int) -> None:
    """Never scored by what happens to stand in its place."""
    with pytest.raises(ScorerUnavailable, match="do not fit"):
        SCORERS[kind].score([1.0] * length)


def test_a_feature_that_is_not_computed_is_named() -> None:
    """In one line, before anything is scored."""
    with pytest.raises(ScorerUnavailable, match="needs the feature aura, which is not computed"):
        BundleScorer(bundle_of(train_booster(("amount", "aura"))), features=ENGINE.describe())


def test_facts_that_name_more_features_than_the_model_has_are_refused() -> None:
    """The columns would not be its own."""
    bundle = bundle_of(BOOSTERS["some"], feature_names=(*SUBSETS["some"], "weekend"))
    with pytest.raises(ScorerUnavailable, match="takes 4 features, its facts name 5"):
        BundleScorer(bundle, features=ENGINE.describe())


def test_a_subset_bundle_opens_from_disk(tmp_path: Path) -> None:
    """Written, read, verified, and it scores."""
    names = SUBSETS["some"]
    text = BOOSTERS["some"].model_to_string()
    write_bundle(tmp_path, facts=make_facts(names), model_text=text, card="# Small")
    vector = [5.0] * len(ENGINE.names)
    assert open_scorer(tmp_path).score(vector) == SCORERS["some"].score(vector)
