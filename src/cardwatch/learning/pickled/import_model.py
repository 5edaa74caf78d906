"""A pickled LightGBM artifact becomes a bundle: unpickled apart, read as text, mapped, written, tried, put in place."""

import hashlib
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol

import msgspec

from cardwatch import __version__
from cardwatch.domain.errors import OperatingError
from cardwatch.features.engine import FeatureEngine
from cardwatch.learning.card import model_card
from cardwatch.learning.pickled.mapping import Target, map_features
from cardwatch.learning.pickled.model_text import ModelText, read_model, scaled
from cardwatch.learning.pickled.sandbox import Artifact, Limits, ModelRefused, unpickle
from cardwatch.models.bundle import FACTS_FILE, FORMAT_VERSION, Facts, Imported, TakenFeature, read_facts, write_bundle

MODELS_FOLDER = "models"
"""Where the data folder keeps bundles, one folder each."""

_CLASSES = (["0", "1"], ["False", "True"], ["0.0", "1.0"])
"""Labels of a classifier whose second one is fraud."""

_PROBES = (math.nan, 0.0, 1.0, -1.0, 23.0, 5_000.0, 150_000.0, 1e12)
"""Values that every feature of a new bundle is given in turn, to see that it scores and explains."""


class TriedScorer(Protocol):
    """What a written bundle is tried with."""

    def score(self, vector: Sequence[float]) -> float:
        """Return the probability of fraud."""
        ...

    def contributions(self, vector: Sequence[float]) -> tuple[float, ...]:
        """Return what each feature adds to the margin, and last the average margin."""
        ...


class ImportedModel(msgspec.Struct, frozen=True):
    """A bundle that was made of a pickled model."""

    folder: Path
    facts: Facts
    network_cut: bool
    """Whether the process that unpickled was without network."""


def import_model(
    path: Path,
    *,
    engine: FeatureEngine,
    open_bundle: Callable[[Path], TriedScorer],
    data_dir: Path,
    out: Path | None = None,
    given: Mapping[str, Target] | None = None,
    limits: Limits | None = None,
) -> ImportedModel:
    """Unpickle a file apart and write it as a bundle into `out`, by default DATA_DIR/models/VERSION.

    Runs the code in the file, in a bounded process of its own. Raises ModelRefused (Unmappable with every feature that
    has no place here); then nothing was written.
    """
    unpickled = unpickle(path, limits=limits)
    try:
        facts, text = _converted(path, unpickled.artifact, engine, given or {})
    except ModelRefused as error:
        if type(error) is ModelRefused:
            raise ModelRefused(f"{path}: {error}") from None
        raise
    folder = out or data_dir / MODELS_FOLDER / facts.model_version
    return ImportedModel(folder, _put(folder, facts, text, engine, open_bundle), unpickled.network_cut)


def _converted(path: Path, artifact: Artifact, engine: FeatureEngine, given: Mapping[str, Target]) -> tuple[Facts, str]:
    if not 0 < artifact.threshold <= 1:
        raise ModelRefused(f"its threshold {artifact.threshold:g} is no probability (more than 0, at most 1)")
    if artifact.classes is not None and artifact.classes not in _CLASSES:
        raise ModelRefused("its classifier was fitted on other labels than 0 (genuine) and 1 (fraud)")
    model = read_model(artifact.model)
    _check_names(model, artifact.feature_names)
    taken = map_features(model, artifact.feature_names, computed=engine.describe(), given=given)
    names = tuple(feature.feature for feature in taken)
    text = scaled(model, names=names, scales=[feature.scale for feature in taken])
    return _facts(path, artifact, taken, engine, text=text, trees=len(model.trees)), text


def _check_names(model: ModelText, names: Sequence[str]) -> None:
    """Refuse names that are not the model's: LightGBM numbers columns of an array, and writes blanks as underlines."""
    if len(names) != len(model.names):
        raise ModelRefused(f"its model takes {len(model.names)} features, its feature_names are {len(names)}")
    if len(set(names)) != len(names):
        raise ModelRefused("its feature_names name a feature twice")
    for at, (own, name) in enumerate(zip(model.names, names, strict=True)):
        if own not in (f"Column_{at}", "_".join(name.split(" "))):
            raise ModelRefused(f"its feature_names have {name} where its model has {own}")


def _facts(
    path: Path, artifact: Artifact, taken: tuple[TakenFeature, ...], engine: FeatureEngine, *, text: str, trees: int
) -> Facts:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    content = hashlib.sha256(f"{artifact.threshold!r}\n{text}".encode()).hexdigest()
    return Facts(
        format_version=FORMAT_VERSION,
        model_version=f"imported-{content[:12]}",
        source=f"Not known: imported from {path.name}.",
        threshold=artifact.threshold,
        threshold_chosen_by="whoever made the file",
        feature_names=tuple(feature.feature for feature in taken),
        feature_medians=(None,) * len(taken),
        spec_hash=engine.spec_hash,
        window=None,
        seeds={},
        parameters={},
        trees=trees,
        metrics=None,
        costs=None,
        libraries={"cardwatch": __version__, "lightgbm": artifact.lightgbm},
        checksums={},
        imported=Imported(file=path.name, sha256=digest, features=taken),
    )


def _put(
    folder: Path, facts: Facts, text: str, engine: FeatureEngine, open_bundle: Callable[[Path], TriedScorer]
) -> Facts:
    """Write a bundle beside its place, try it, and only then move it there."""
    again = (folder / FACTS_FILE).is_file() and read_facts(folder).model_version == facts.model_version
    if not again and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelRefused(f"{folder} is there already and holds something else; name another place with --out")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        written = write_bundle(beside, facts=facts, model_text=text, card=model_card(facts))
        _try(open_bundle(beside), len(engine.names))
        beside.chmod(0o755)  # a folder as others are, not one that is for its maker alone
        if again:
            shutil.rmtree(folder)
        beside.replace(folder)
    except OperatingError as error:
        raise ModelRefused(f"the model cannot be used: {error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return written.facts


def _try(scorer: TriedScorer, features: int) -> None:
    """See that a model gives probabilities, and explanations that add up to them."""
    for probe in _PROBES:
        vector = [probe] * features
        score, margin = scorer.score(vector), math.fsum(scorer.contributions(vector))
        if not math.isclose(score, _logistic(margin), rel_tol=1e-6, abs_tol=1e-12):
            raise ModelRefused("the model gives scores that its own explanations do not add up to")


def _logistic(margin: float) -> float:
    return 1 / (1 + math.exp(-margin)) if margin >= 0 else math.exp(margin) / (1 + math.exp(margin))
