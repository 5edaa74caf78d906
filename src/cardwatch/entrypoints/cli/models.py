"""`cardwatch model`: the bundles at hand."""

from typing import Annotated

import typer
from rich.table import Table

from cardwatch.entrypoints.cli.options import DataDir, Json, settings_for
from cardwatch.entrypoints.cli.output import console, print_json
from cardwatch.runtime.bootstrap import find_model, list_models

app = typer.Typer(help="List and show model bundles.", no_args_is_help=True)


@app.command("list")
def list_bundles(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the packaged model and those in the data folder."""
    found = list_models(settings_for(data_dir).data_dir)
    if as_json:
        print_json([{"name": m.name, "folder": str(m.folder), "facts": m.facts, "fault": m.fault} for m in found])
        return
    table = Table("name", "version", "trees", "threshold", "average precision", "state")
    for model in found:
        facts = model.facts
        if facts is None:
            table.add_row(model.name, "", "", "", "", model.fault)
            continue
        precision = f"{facts.metrics.average_precision.value:.4f}"
        table.add_row(model.name, facts.model_version, str(facts.trees), f"{facts.threshold:.4f}", precision, "usable")
    console.print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name or folder of a bundle.")] = "default",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print a model's card."""
    folder = find_model(name, settings_for(data_dir).data_dir)
    if as_json:
        console.file.write((folder / "bundle.json").read_text("utf-8"))
        return
    console.print((folder / "card.md").read_text("utf-8"), markup=False)
