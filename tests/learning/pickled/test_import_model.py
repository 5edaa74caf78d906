"""An imported model scores as it did where it came from, in our units and under our names, or nothing is written."""

import json
import math
import pickle
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardwatch.adapters.models import open_scorer
from cardwatch.features.engine import default_engine
from cardwatch.learning.pickled.import_model import ImportedModel, import_model
from cardwatch.learning.pickled.mapping import ALIASES, HINTS, Target, Unmappable, map_features, read_map
from cardwatch.learning.pickled.model_text import read_model, scaled, scaled_threshold
from cardwatch.learning.pickled.sandbox import ModelRefused
from tests.support.bundles import train_booster

ENGINE = default_engine()
THEIRS = ("amt", "hour", "is_night", "is_weekend")
OURS = ("amount", "local_hour", "night", "weekend")
BOOSTER = train_booster(THEIRS)
TEXT = BOOSTER.model_to_string()

thresholds = st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-30)
scales = st.sampled_from([100.0, 60.0, 3600.0, 1.609344, 0.01, 1e-6, 1e6, 3.0])


def imported(path: Path, **options: object) -> ImportedModel:
    """Import into a data folder beside the file."""
    data = {"engine": ENGINE, "open_bundle": open_scorer, "data_dir": path.parent / "data", **options}
    return import_model(path, **data)  # type: ignore[arg-type]


def written(folder: Path, booster: lightgbm.Booster = BOOSTER, **parts: object) -> Path:
    """Write an artifact."""
    names = parts.get("feature_names", booster.feature_name())
    path = folder / "fraud_lgbm_balanced.pkl"
    path.write_bytes(pickle.dumps({"model": booster, "threshold": 0.4, "feature_names": names, **parts}))
    return path


def test_a_converted_model_gives_equal_scores_on_converted_inputs(tmp_path: Path) -> None:
    """Every amount in cents scores as the same amount in dollars did, bit for bit; the threshold is its own."""
    found = imported(written(tmp_path))
    scorer = open_scorer(found.folder)
    numbers = np.random.default_rng(3)
    for cents in (0, 1, 7, 1234, 150_000, *numbers.integers(0, 10**6, 500).tolist()):
        theirs = [cents / 100, *numbers.normal(size=3).tolist()]
        ours = {**dict.fromkeys(ENGINE.names, math.nan), **dict(zip(OURS, [float(cents), *theirs[1:]], strict=True))}
        expected = BOOSTER.predict(np.array([theirs]), num_threads=1)[0]
        assert scorer.score([ours[name] for name in ENGINE.names]) == expected
    assert scorer.threshold == 0.4


@settings(max_examples=300, deadline=None)
@given(threshold=thresholds, scale=scales, nudge=st.integers(-3, 3))
def test_no_value_changes_sides_of_a_threshold(threshold: float, scale: float, nudge: int) -> None:
    """Also those next to it: x stands below the new threshold if and only if x / scale stands below the old one."""
    converted = scaled_threshold(threshold, scale)
    value = converted
    for _ in range(abs(nudge)):
        value = math.nextafter(value, math.inf if nudge > 0 else -math.inf)
    assert (value <= converted) == (value / scale <= threshold)


def test_without_another_unit_the_trees_stay_byte_for_byte() -> None:
    """Reading and writing a model changes nothing but its names."""
    text = scaled(read_model(TEXT), names=THEIRS, scales=(1.0,) * 4)
    until = TEXT.index("end of trees")
    assert text[:until] == TEXT[:until]


def test_what_nobody_knows_of_an_import_is_absent(tmp_path: Path) -> None:
    """No metrics, window, costs or medians; the card says so, and where each feature came from."""
    found = imported(written(tmp_path))
    facts = found.facts
    assert (facts.metrics, facts.window, facts.costs, set(facts.feature_medians)) == (None, None, None, {None})
    card = (found.folder / "card.md").read_text()
    assert "not known: imported" in card
    assert "| `amt` | `amount` | 100 |" in card
    assert found.folder == tmp_path / "data" / "models" / facts.model_version


def test_the_same_import_again_gives_the_same_bundle(tmp_path: Path) -> None:
    """And another file does not go where it stands."""
    first = imported(written(tmp_path), out=tmp_path / "out")
    assert imported(written(tmp_path), out=tmp_path / "out").facts == first.facts
    with pytest.raises(ModelRefused, match="is there already and holds something else"):
        imported(written(tmp_path, threshold=0.6), out=tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fraud_lgbm_balanced.pkl", "out"]


def test_every_feature_without_a_place_here_is_named_and_nothing_written(tmp_path: Path) -> None:
    """With the reason and the nearest of ours."""
    booster = train_booster((*THEIRS, "category", "amount_medain", "dist", "amount"), rows=400)
    with pytest.raises(Unmappable, match="4 of its features") as caught:
        imported(written(tmp_path, booster))
    found = {feature.name: feature for feature in caught.value.features}
    assert list(found) == ["category", "amount_medain", "dist", "amount"]
    assert found["dist"].nearest == "home_distance_km"
    assert found["category"].nearest is None
    assert all(feature.reason for feature in found.values())
    assert not (tmp_path / "data").exists()


def test_a_map_says_what_is_meant(tmp_path: Path) -> None:
    """By name alone, or with the factor between the units."""
    (tmp_path / "map.json").write_text(
        json.dumps({"v1": {"feature": "home_distance_km", "scale": 1.609344}, "v2": "night"})
    )
    path = written(tmp_path, train_booster(("v1", "v2", "hour"), rows=400))
    taken = imported(path, given=read_map(tmp_path / "map.json")).facts.imported
    assert taken is not None
    assert [(one.name, one.feature, one.scale) for one in taken.features] == [
        ("v1", "home_distance_km", 1.609344),
        ("v2", "night", 1.0),
        ("hour", "local_hour", 1.0),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[1]", "no map of features"),
        ('{"a": {"feature": "night", "scale": 0}}', "no map of features"),
        ('{"a": {"feature": "night", "scael": 2}}', "no map of features"),
        ('{"a": "night"}', "names a, which is no feature of the model"),
        ('{"amt": "nihgt"}', "nihgt is not computed; night is"),
    ],
)
def test_a_wrong_map_is_one_clear_line(tmp_path: Path, text: str, complaint: str) -> None:
    """Its syntax, its names on both sides, its factors."""
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(ModelRefused, match=complaint):
        map_features(read_model(TEXT), THEIRS, computed=ENGINE.describe(), given=read_map(tmp_path / "map.json"))


def test_every_alias_and_hint_leads_to_a_feature_that_is_computed() -> None:
    """No row of the tables is dead."""
    assert {target.feature for target in ALIASES.values()} <= set(ENGINE.names)
    assert {near for _, near in HINTS.values() if near} <= set(ENGINE.names)
    assert not set(ALIASES) & set(HINTS)


def test_an_amount_whose_unit_is_not_plain_is_asked_about() -> None:
    """Fractions are dollars, a model of our features has ours, and anything else must be said."""
    fractions = read_model(train_booster(("amount", "hour"), rows=300).model_to_string())
    (taken, _) = map_features(fractions, ("amount", "hour"), computed=ENGINE.describe(), given={})
    assert taken.scale == 100
    matrix = np.random.default_rng(1).integers(0, 900, (300, 2)).astype(float)
    for names, expected in ((["amount", "night"], 1.0), (["amount", "hour"], None)):
        dataset = lightgbm.Dataset(matrix, (matrix[:, 0] > 400).astype(float), feature_name=names)
        model = read_model(lightgbm.train({"objective": "binary", "verbose": -1}, dataset, 2).model_to_string())
        if expected is None:
            with pytest.raises(Unmappable):
                map_features(model, names, computed=ENGINE.describe(), given={})
            given = {"amount": Target("amount", 100)}
            assert map_features(model, names, computed=ENGINE.describe(), given=given)[0].scale == 100
        else:
            assert map_features(model, names, computed=ENGINE.describe(), given={})[0].scale == expected


def other(objective: str, labels: int = 2, **parameters: object) -> lightgbm.Booster:
    """Train a model that is not what is asked for."""
    numbers = np.random.default_rng(2)
    rows, given = numbers.normal(size=(300, 2)), numbers.integers(0, labels, 300)
    chosen = {"objective": objective, "verbose": -1, "min_data_in_leaf": 5, **parameters}
    return lightgbm.train(chosen, lightgbm.Dataset(rows, given, feature_name=["amt", "hour"]), 3)


@pytest.mark.parametrize(
    ("booster", "parts", "complaint"),
    [
        (other("multiclass", 3, num_class=3), {}, "objective multiclass; a binary one is needed"),
        (other("regression"), {}, "objective regression"),
        (other("binary", sigmoid=2.0), {}, "sigmoid:1 is needed"),
        (other("binary", boosting="rf", bagging_freq=1, bagging_fraction=0.5), {}, "random forest"),
        (other("binary", linear_tree=True), {}, "linear"),
        (BOOSTER, {"feature_names": list(THEIRS[:3])}, "takes 4 features, its feature_names are 3"),
        (BOOSTER, {"feature_names": list(THEIRS[::-1])}, "have is_weekend where its model has amt"),
        (BOOSTER, {"threshold": 1.5}, "no probability"),
    ],
)
def test_a_model_that_gives_no_probability_of_fraud_is_refused(
    tmp_path: Path, booster: lightgbm.Booster, parts: dict[str, object], complaint: str
) -> None:
    """Or whose names are not its own, in one line that names the file."""
    with pytest.raises(ModelRefused, match=complaint) as caught:
        imported(written(tmp_path, booster, **parts))
    assert "fraud_lgbm_balanced.pkl" in str(caught.value)
    assert not (tmp_path / "data").exists()


def damaged(name: str, value: str) -> str:
    """Return the model with another value in a line of its first tree or its head."""
    start = TEXT.index(f"\n{name}=") + 1
    return TEXT[:start] + f"{name}={value}" + TEXT[TEXT.index("\n", start) :]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("split_feature", " ".join(["9999999"] * 14)),
        ("left_child", " ".join(["0"] * 14)),
        ("right_child", " ".join(["500"] * 14)),
        ("left_child", " ".join(["-1"] * 14)),
        ("leaf_value", "nan " * 14 + "nan"),
        ("leaf_value", "0.5"),
        ("num_leaves", "1000000000"),
        ("num_leaves", "-3"),
        ("threshold", " ".join(["1e999"] * 14)),
        ("num_cat", "5"),
        ("decision_type", " ".join(["1"] * 14)),
        ("shrinkage", "1\nevil=2"),
        ("max_feature_idx", "99999999999"),
        ("feature_infos", "a b c d"),
        ("version", "v99"),
    ],
)
def test_a_damaged_model_never_reaches_the_library(name: str, value: str) -> None:
    """Indexes out of range, loops, numbers that are none: the C library would read where it must not."""
    with pytest.raises(ModelRefused):
        read_model(damaged(name, value))


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(TEXT) - 1), character=st.sampled_from("09-e=\n .x"), cut=st.booleans())
def test_any_damage_is_refused_or_still_a_model(at: int, character: str, cut: bool) -> None:
    """A changed or cut text is a clear error, or a model that can be walked; nothing else is raised."""
    text = TEXT[:at] if cut else TEXT[:at] + character + TEXT[at + 1 :]
    try:
        model = read_model(text)
    except ModelRefused:
        return
    assert len(model.names) == 4
