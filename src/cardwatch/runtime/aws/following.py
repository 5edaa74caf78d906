"""What follows from changes in a home: see `consequences`."""

from collections.abc import Sequence

from cardwatch.adapters.models import find_model, label_delay_of
from cardwatch.domain.changes import Change
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.models.bundle import read_facts
from cardwatch.runtime.aws.consequences import Follow, consequences
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.speaking import sender_of


def follow_of(home: Home) -> Follow:
    """Return what works out the consequences of a list of changes."""

    def follow(changes: Sequence[Change]) -> Sequence[Change]:
        return consequences(
            changes,
            store=home.store,
            engine=lambda: home.part(engine_of),
            sender=home.part(sender_of),
            clock=home.clock,
            randomness=home.randomness,
        )

    return follow


def engine_of(home: Home) -> FeatureEngine:
    """Return the engine whose features read labels as late as those that the model was trained with."""
    folder = find_model(home.settings.model or "default", home.settings.data_dir)
    return default_engine(label_delay_of(read_facts(folder)))
