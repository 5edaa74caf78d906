"""The table of features is complete, consistent and documented."""

import string
from pathlib import Path

import msgspec
import pytest

from cardwatch.features.describe import page
from cardwatch.features.engine import FeatureEngine
from cardwatch.features.spec import ENTITIES, Feature
from tests.features.payments import ENGINE

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def test_the_reference_page_is_current() -> None:
    """docs/features.md is what the table says; `make docs` renews it."""
    assert PAGE.read_text(encoding="utf-8") == page(ENGINE)


def test_names_are_unique_and_in_the_order_of_the_vector() -> None:
    """One name, one value."""
    assert len(set(ENGINE.names)) == len(ENGINE.names)
    assert tuple(feature.name for feature in ENGINE.describe()) == ENGINE.names


@pytest.mark.parametrize("feature", ENGINE.describe(), ids=lambda feature: feature.name)
def test_every_feature_has_words_and_a_usual_that_exists(feature: Feature) -> None:
    """Each row says what it is, why, and how it reads as a reason; its usual is another feature."""
    assert feature.entity in ENTITIES
    assert feature.unit
    assert feature.why.endswith(".")
    assert feature.code.replace("_", "").isalnum()
    assert feature.code == feature.code.upper()
    assert feature.usual is None or feature.usual in ENGINE.names
    for template in (feature.text, feature.text_low):
        fields = {field for _, field, _, _ in string.Formatter().parse(template) if field}
        assert fields <= {"value", "usual"}
        assert feature.usual or "usual" not in fields


def test_the_hash_follows_the_definition_and_not_its_words() -> None:
    """Rewording a reason keeps states and models valid; another definition does not."""
    features = ENGINE.describe()
    worded = FeatureEngine([msgspec.structs.replace(feature, why="Because.", text="So") for feature in features])
    assert worded.spec_hash == ENGINE.spec_hash
    assert FeatureEngine(features[:-1]).spec_hash != ENGINE.spec_hash


@pytest.mark.parametrize("entity", [entity for entity in ENTITIES if entity != "payment"])
def test_generated_source_keeps_to_integers_and_final_divisions(entity: str) -> None:
    """No logarithm, power or trigonometry, no dict and no attribute: the text can be compiled for arrays."""
    source = ENGINE.programs[entity].source
    for banned in ("log(", "exp(", "sin(", "cos(", "**", "import", "{", "s."):
        assert banned not in source
