"""Rebuild the model that ships with the package: `python -m cardwatch.learning.build_default_model`.

The same platform and the same library versions give the same bytes.
"""

import sys
from pathlib import Path

from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.learning.replay import Progress, no_progress
from cardwatch.learning.simulate.population import PopulationSpec, simulate_population
from cardwatch.learning.train import TrainingSpec, train
from cardwatch.models.bundle import Bundle

DEFAULT_FOLDER = Path(__file__).parents[1] / "models" / "default"
"""Where the package keeps its model."""

SOURCE = (
    "Simulated payments only: {accounts:,} made-up accounts over {days} days (seed {seed}), with everyday spending by "
    "persona,\ntrips, large purchases, and fraud by card testing, lost cards, account takeover, new accounts "
    "and leaked cards."
)


def train_on_simulation(
    out: Path,
    *,
    population: PopulationSpec = PopulationSpec(),  # noqa: B008  a frozen value
    engine: FeatureEngine | None = None,
    progress: Progress = no_progress,
) -> Bundle:
    """Simulate a population, train on it, and write the bundle into a folder."""
    source = SOURCE.format(accounts=population.accounts, days=population.days, seed=population.seed)
    engine = engine or default_engine()
    delay_ms = engine.label_delay_s * 1000
    spec = TrainingSpec(source=source, label_delay_ms=delay_ms, seed=population.seed, version_prefix="simulated")
    return train(simulate_population(population), spec=spec, engine=engine, out=out, progress=progress)


def main() -> None:
    """Rebuild the packaged model and say what came out."""
    bundle = train_on_simulation(DEFAULT_FOLDER)
    sys.stdout.write(f"{bundle.facts.model_version}: {bundle.facts.summary}\n")


if __name__ == "__main__":
    main()
