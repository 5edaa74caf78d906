"""Where the model of a function lies, and how late its features read labels: known without opening the model."""

from pathlib import Path

from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.features.spec import LABEL_DELAY_MAX_S, LABEL_DELAY_S
from cardwatch.models import bundle
from cardwatch.models.bundle import FACTS_FILE, BundleUnusable, read_facts
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.settings import Settings

PACKAGED = "default"
"""Name of the bundle that ships with the package."""


def model_folder(settings: Settings) -> Path:
    """Return the folder of the model that the settings name, by path or by name; raises BundleUnusable without one."""
    name = settings.model or PACKAGED
    if name == PACKAGED:
        return Path(bundle.__file__).parent / PACKAGED
    for folder in (settings.data_dir / "models" / name, Path(name).expanduser()):
        if (folder / FACTS_FILE).is_file():
            return folder
    raise BundleUnusable(f"there is no model {name}: put its folder into a layer, and its path into CARDWATCH_MODEL")


def engine_of(home: Home) -> FeatureEngine:
    """Return the engine whose features read labels as late as those that the model was trained with."""
    window = read_facts(model_folder(home.settings)).window
    delay_s = LABEL_DELAY_S if window is None else window.label_delay_ms // 1000
    return default_engine(delay_s if 0 <= delay_s <= LABEL_DELAY_MAX_S else LABEL_DELAY_S)
