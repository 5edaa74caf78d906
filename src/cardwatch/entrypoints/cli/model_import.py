"""`cardwatch model import`: a pickled LightGBM model becomes a bundle."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from cardwatch.domain.errors import CardwatchError
from cardwatch.entrypoints.cli.options import DataDir, Json, settings_for
from cardwatch.entrypoints.cli.output import console, notes, print_json
from cardwatch.features.engine import default_engine
from cardwatch.learning.pickled.import_model import ImportedModel, import_model
from cardwatch.learning.pickled.mapping import Unmappable, read_map
from cardwatch.runtime.bootstrap import open_model

_UNTRUSTED = (
    "{file} was not opened: unpickling runs code of whoever made the file. If you trust them as you would a program of "
    "theirs, say so with --trust-pickle"
)


def import_pickle(
    file: Annotated[Path, typer.Argument(help="Pickle or joblib file: a dict with model, threshold, feature_names.")],
    trust: Annotated[
        bool, typer.Option("--trust-pickle", help="Run the code in the file: you know and trust who made it.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the bundle; default: in DATA_DIR/models.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--map", help="JSON file that says which of our features each of its features is.")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Import a pickled LightGBM model whose features can be mapped to ours."""
    if not trust:
        raise CardwatchError(_UNTRUSTED.format(file=file))
    given = read_map(mapping) if mapping else None
    data = settings_for(data_dir).data_dir
    try:
        found = import_model(file, engine=default_engine(), open_bundle=open_model, data_dir=data, out=out, given=given)
    except Unmappable as error:
        _print_unmapped(error, as_json=as_json)
        raise CardwatchError(f"{file}: {error}; nothing was written. See --map") from None
    if not found.network_cut:
        notes.print("note: this system does not allow cutting off the network; the file's code could have used it")
    if as_json:
        print_json(
            {
                "folder": str(found.folder),
                "network_cut": found.network_cut,
                "serve": _serve(found),
                "facts": found.facts,
            }
        )
        return
    _print(found)


def _print_unmapped(error: Unmappable, *, as_json: bool) -> None:
    if as_json:
        print_json({"unmapped": error.features})
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("cannot be mapped", "why", "nearest of ours"):
        table.add_column(name)
    for feature in error.features:
        table.add_row(escape(feature.name), escape(feature.reason), feature.nearest or "none")
    console.print(table)


def _print(found: ImportedModel) -> None:
    facts = found.facts
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("theirs", "ours", "factor"):
        table.add_column(name, justify="right" if name == "factor" else "left")
    rows = {feature.name: feature for feature in default_engine().describe()}
    for taken in facts.imported.features if facts.imported else ():
        unit = rows[taken.feature].unit
        table.add_row(escape(taken.name), f"{taken.feature} ({unit})", f"{taken.scale:g}")
    console.print(table)
    console.print("Check that each means the same: a model that was trained on something else is wrong without a word.")
    console.print(f"{facts.model_version}: {facts.summary}", markup=False)
    console.print(f"written to {found.folder}", markup=False)
    console.print(f"serve with it: {_serve(found)}", markup=False)


def _serve(found: ImportedModel) -> str:
    """Return the command that serves with the model."""
    return f"CARDWATCH_MODEL={shlex.quote(str(found.folder.absolute()))} cardwatch serve"
