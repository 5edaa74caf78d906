"""`cardwatch model`: the bundles at hand, and bringing one in from elsewhere."""

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from cardwatch.domain.errors import CardwatchError, OperatingError
from cardwatch.entrypoints.cli.model_import import import_pickle
from cardwatch.entrypoints.cli.options import DataDir, Json, settings_for
from cardwatch.entrypoints.cli.output import console, notes, print_json
from cardwatch.models.bundle import CARD_FILE, Facts, read_facts
from cardwatch.runtime.bootstrap import active_model, find_model, list_models
from cardwatch.runtime.settings import Settings

app = typer.Typer(help="List, show and import model bundles.", no_args_is_help=True)
app.command("import")(import_pickle)


@app.command("list")
def list_bundles(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the packaged model and those in the data folder; the one that serves is marked."""
    settings = settings_for(data_dir)
    found, active = list_models(settings.data_dir), _active(settings)
    if as_json:
        print_json(
            [
                {
                    "name": m.name,
                    "folder": str(m.folder),
                    "active": m.folder == active,
                    "facts": m.facts,
                    "fault": m.fault,
                }
                for m in found
            ]
        )
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("", "name", "version", "trees", "features", "threshold", "avg. precision", "state"):
        table.add_column(name, justify="right" if name in ("trees", "features", "threshold") else "left")
    for model in found:
        mark = "*" if model.folder == active else ""
        table.add_row(mark, escape(model.name), *_row(model.facts), escape(model.fault or "usable"))
    console.print(table)
    if active is not None and active not in [model.folder for model in found]:
        console.print(f"serving with {active} (CARDWATCH_MODEL)", markup=False)


def _active(settings: Settings) -> Path | None:
    try:
        return active_model(settings)
    except OperatingError as error:
        notes.print(f"CARDWATCH_MODEL: {error}", markup=False)
        return None


def _row(facts: Facts | None) -> tuple[str, ...]:
    if facts is None:
        return ("", "", "", "", "")
    precision = f"{facts.metrics.average_precision.value:.4f}" if facts.metrics else "not known"
    return (
        facts.model_version,
        str(facts.trees),
        str(len(facts.feature_names)),
        f"{facts.threshold:.4f}",
        precision,
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name or folder of a bundle.")] = "default",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show what is known about a model, and its card."""
    folder = find_model(name, settings_for(data_dir).data_dir)
    facts = read_facts(folder)
    if as_json:
        print_json(facts)
        return
    table = Table(show_header=False, box=None)
    for what, value in _known(folder, facts):
        table.add_row(what, escape(value))
    console.print(table)
    console.print()
    try:
        console.print((folder / CARD_FILE).read_text("utf-8"), markup=False)
    except OSError as error:
        raise CardwatchError(f"model bundle {folder}: {CARD_FILE} cannot be read: {error.strerror}") from None


def _known(folder: Path, facts: Facts) -> list[tuple[str, str]]:
    measured = facts.metrics
    rows = [
        ("version", facts.model_version),
        ("folder", str(folder)),
        ("trees", str(facts.trees)),
        ("features", str(len(facts.feature_names))),
        ("feature definition", facts.spec_hash[:12]),
        ("threshold", f"{facts.threshold:.4f}, chosen by {facts.threshold_chosen_by}"),
        ("average precision", f"{measured.average_precision.value:.4f}" if measured else "not known: imported"),
        ("area under ROC", f"{measured.roc_auc.value:.4f}" if measured else "not known: imported"),
        ("trained on", f"{facts.window.payments:,} payments" if facts.window else "not known: imported"),
        ("made with", ", ".join(f"{name} {version}" for name, version in facts.libraries.items())),
    ]
    if facts.imported:
        rows.insert(2, ("imported from", facts.imported.file))
    return rows
