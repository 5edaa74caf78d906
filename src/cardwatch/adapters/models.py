"""Finding model bundles and opening one as a scorer: the packaged default, and those in the data folder."""

from pathlib import Path

import msgspec

from cardwatch.adapters.scorers.bundle_scorer import BundleScorer
from cardwatch.domain.errors import OperatingError
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.features.spec import LABEL_DELAY_MAX_S, LABEL_DELAY_S
from cardwatch.models import bundle as bundles
from cardwatch.models.bundle import BundleUnusable, Facts, read_bundle, read_facts

PACKAGED = Path(bundles.__file__).parent / "default"
"""The bundle that ships with the package."""

MODELS_FOLDER = "models"
"""Where the data folder keeps bundles, one folder each."""


class FoundModel(msgspec.Struct, frozen=True):
    """A bundle that was found: what is known about it, or what is wrong with it."""

    name: str
    """"default" for the packaged one, else its folder's name."""
    folder: Path
    facts: Facts | None
    """None where not even the facts can be read."""
    fault: str | None
    """Why this version cannot serve with it, in one line; None if it can."""


def list_models(data_dir: Path | None = None) -> tuple[FoundModel, ...]:
    """Return the packaged model and those of a data folder, by name; what cannot serve is listed with its fault."""
    folders = {"default": PACKAGED}
    if data_dir is not None and (data_dir / MODELS_FOLDER).is_dir():
        children = sorted((data_dir / MODELS_FOLDER).iterdir())
        named = (child for child in children if not child.name.startswith("."))
        folders |= {child.name: child for child in named if (child / bundles.FACTS_FILE).is_file()}
    return tuple(_found(name, folder) for name, folder in folders.items())


def find_model(name: str, data_dir: Path | None = None) -> Path:
    """Return the folder of a model by name or path; raises BundleUnusable when there is none."""
    named = {found.name: found.folder for found in list_models(data_dir)}
    if name in named:
        return named[name]
    if (Path(name) / bundles.FACTS_FILE).is_file():
        return Path(name)
    raise BundleUnusable(f"there is no model {name}; known are {', '.join(named)}")


def open_scorer(
    path: Path | None = None, *, engine: FeatureEngine | None = None, library: Path | None = None
) -> BundleScorer:
    """Open a bundle (None: the packaged one) as a scorer, checked against the feature definition that will serve.

    Raises BundleUnusable when the bundle is damaged or was trained with another definition, ScorerUnavailable when
    LightGBM's library cannot be used.
    """
    engine = engine or engine_of(read_facts(path or PACKAGED))
    bundle = read_bundle(path or PACKAGED, feature_names=engine.names, spec_hash=engine.spec_hash)
    return BundleScorer(bundle, features=engine.describe(), library=library)


def engine_of(facts: Facts) -> FeatureEngine:
    """Return the engine whose features read labels as late as those that a bundle was trained with."""
    return default_engine(label_delay_of(facts))


def label_delay_of(facts: Facts) -> int:
    """Return how many seconds old payments are before a bundle's features read their labels.

    An imported bundle does not say, and no feature waits longer than labels are kept: then it is the usual delay.
    """
    delay_s = LABEL_DELAY_S if facts.window is None else facts.window.label_delay_ms // 1000
    return delay_s if 0 <= delay_s <= LABEL_DELAY_MAX_S else LABEL_DELAY_S


def _found(name: str, folder: Path) -> FoundModel:
    facts: Facts | None = None
    try:
        facts = read_facts(folder)
        engine = engine_of(facts)
        read_bundle(folder, feature_names=engine.names, spec_hash=engine.spec_hash)
    except OperatingError as error:
        return FoundModel(name, folder, facts, str(error))
    return FoundModel(name, folder, facts, None)
