"""Train a model bundle: `python prepare_data.py` on simulated payments, or on your own with `--data F --format NAME`.

Where the package is not installed, `src` of the checkout goes on the path.
"""

import argparse
import os
import secrets
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("cardwatch") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from rich.console import Console
from rich.progress import Progress

from cardwatch.domain.errors import CardwatchError
from cardwatch.features.engine import default_engine
from cardwatch.learning.build_default_model import train_on_simulation
from cardwatch.learning.dataset_formats import FORMATS
from cardwatch.learning.datasets import Dataset, Rejected, Tokens, usable_rows
from cardwatch.learning.simulate.population import PopulationSpec
from cardwatch.learning.train import TrainingSpec, train


def main(arguments: list[str] | None = None) -> int:
    """Train, print where the bundle is, and return the exit code."""
    parser = argparse.ArgumentParser(description="Train a fraud model.")
    parser.add_argument("--data", type=Path, help="csv, csv.gz or parquet of labelled payments (default: simulate)")
    parser.add_argument("--format", choices=sorted(FORMATS), default="cardwatch", help="what its columns are")
    parser.add_argument("--out", type=Path, default=Path("model"), help="folder of the bundle (default: %(default)s)")
    parser.add_argument("--accounts", type=int, default=PopulationSpec().accounts, help="accounts to simulate")
    chosen, output, rejected = parser.parse_args(arguments), Console(soft_wrap=True), list[Rejected]()
    try:
        with Progress(console=output) as progress:
            task = progress.add_task("computing features, then training", total=None)
            step = {"out": chosen.out, "progress": lambda rows: progress.advance(task, rows)}
            if chosen.data is None:
                bundle = train_on_simulation(population=PopulationSpec(accounts=chosen.accounts), **step)
            else:
                key = os.environ.get("CARDWATCH_TOKEN_KEY", "").encode() or secrets.token_bytes(32)
                dataset = Dataset(chosen.data, FORMATS[chosen.format], tokens=Tokens(key))
                spec = TrainingSpec(source=f"{len(dataset):,} payments of {chosen.data.name} ({chosen.format}).")
                rows = usable_rows(dataset, reject=rejected.append)
                bundle = train(rows, spec=spec, engine=default_engine(), **step)
    except (CardwatchError, ValueError) as error:
        output.print(f"prepare_data: {error}", markup=False)
        return 1
    for row in rejected[:1]:
        output.print(f"{len(rejected)} rows were not used; the first is row {row.row}: {row.reason}", markup=False)
    output.print(f"model {bundle.facts.model_version}: see {chosen.out.resolve() / 'card.md'}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
