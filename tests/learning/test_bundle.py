"""A bundle is read back as written, and every way to damage it is one clear error."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cardwatch.adapters.models import PACKAGED, find_model, list_models, open_scorer
from cardwatch.features.engine import default_engine
from cardwatch.models.bundle import Bundle, BundleUnusable, read_bundle, write_bundle

ENGINE = default_engine()


def read(folder: Path) -> Bundle:
    """Read a bundle for the engine that serves."""
    return read_bundle(folder, feature_names=ENGINE.names, spec_hash=ENGINE.spec_hash)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the packaged bundle."""
    folder = tmp_path / "models" / "copy"
    folder.mkdir(parents=True)
    for file in PACKAGED.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def change(folder: Path, **values: object) -> None:
    """Change facts of a bundle in place."""
    facts = msgspec.json.decode((folder / "bundle.json").read_bytes())
    (folder / "bundle.json").write_bytes(msgspec.json.encode({**facts, **values}))


def test_the_packaged_bundle_is_complete_and_current() -> None:
    """It matches the feature definition of this version and says where it comes from."""
    facts = read(PACKAGED).facts
    assert facts.feature_names == ENGINE.names
    assert "simulated" in facts.source.lower()
    assert set(facts.checksums) == {"model.txt", "card.md"}
    assert "simulator" in (PACKAGED / "card.md").read_text()


def test_writing_and_reading_gives_the_same_bundle(tmp_path: Path) -> None:
    """What is written is what is read, and writing it again gives the same bytes."""
    packaged = read(PACKAGED)
    card = (PACKAGED / "card.md").read_text()
    write_bundle(tmp_path, facts=packaged.facts, model_text=packaged.model_text, card=card)
    assert read(tmp_path).facts == packaged.facts
    assert (tmp_path / "bundle.json").read_bytes() == (PACKAGED / "bundle.json").read_bytes()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "model.txt").write_text("tree"), "model.txt is not the file"),
        (lambda folder: (folder / "model.txt").unlink(), "model.txt cannot be read"),
        (lambda folder: (folder / "card.md").write_text("# Perfect"), "card.md is not the file"),
        (lambda folder: (folder / "bundle.json").unlink(), "bundle.json cannot be read"),
        (lambda folder: (folder / "bundle.json").write_text("{"), "bundle.json cannot be read"),
        (lambda folder: change(folder, format_version=99), "format version 99"),
        (lambda folder: change(folder, spec_hash="0" * 64), "trained with feature definition 000"),
        (lambda folder: change(folder, feature_names=[*ENGINE.names, "aura"]), "needs the feature aura"),
        (lambda folder: change(folder, feature_names=[*ENGINE.names, "amount"]), "names a feature twice"),
        (lambda folder: change(folder, feature_names=ENGINE.names[1:]), "medians for"),
        (lambda folder: change(folder, feature_names=ENGINE.names[::-1]), "names other features than model.txt"),
        (lambda folder: change(folder, checksums={}), "no checksum of model.txt"),
    ],
)
def test_each_damage_is_one_clear_line(copy: Path, damage: Callable[[Path], object], complaint: str) -> None:
    """Missing, changed and mismatched files are refused with a line that names the folder and the fault."""
    damage(copy)
    with pytest.raises(BundleUnusable, match=complaint) as caught:
        read(copy)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_of_the_data_folder_are_found_beside_the_packaged_one(copy: Path) -> None:
    """Bundles are listed by name, broken ones with their fault; an unknown name says what there is."""
    data_dir = copy.parents[1]
    broken = data_dir / "models" / "broken"
    broken.mkdir()
    (broken / "bundle.json").write_text("{}")
    found = {model.name: model for model in list_models(data_dir)}
    assert list(found) == ["default", "broken", "copy"]
    assert found["broken"].fault is not None
    assert find_model("copy", data_dir) == copy
    with pytest.raises(BundleUnusable, match="known are default, broken, copy"):
        find_model("other", data_dir)


def test_a_scorer_opens_from_any_bundle(copy: Path) -> None:
    """A bundle elsewhere scores as the packaged one does."""
    vector = [float("nan")] * len(ENGINE.names)
    assert open_scorer(copy).score(vector) == open_scorer().score(vector)
