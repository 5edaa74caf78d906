"""Write the report of the model that ships with the package, measured on a population it was not trained on.

    .venv/bin/python tools/model_report.py

The same model, code and library versions give the same bytes. `make model` calls it.
"""

import sys
from pathlib import Path

from cardwatch.adapters.models import PACKAGED
from cardwatch.features.engine import default_engine
from cardwatch.learning.evaluate.run import evaluate, write_report
from cardwatch.learning.simulate.population import PopulationSpec, simulate_population
from cardwatch.models.bundle import read_bundle

REPORT = Path(__file__).parents[1] / "docs" / "default-model.html"
POPULATION = PopulationSpec(seed=2, accounts=1000)
"""Other people, merchants and incidents than those of training, which have another seed."""


def main() -> None:
    """Simulate, measure, write."""
    engine = default_engine()
    bundle = read_bundle(PACKAGED, feature_names=engine.names, spec_hash=engine.spec_hash)
    source = f"{POPULATION.accounts:,} other simulated accounts over {POPULATION.days} days (seed {POPULATION.seed})"
    found = evaluate(simulate_population(POPULATION), bundle=bundle, engine=engine, source=source)
    write_report(REPORT, found, bundle)
    sys.stdout.write(f"{REPORT.name}: {found.data.payments:,} payments, {found.data.frauds:,} of them fraud\n")


if __name__ == "__main__":
    main()
