"""`evaluate`: a model measured on payments with labels, in the terminal and as one HTML file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cardwatch.entrypoints.cli.batch import Model, Workers, bundle_for, engine_of, open_columns, shown
from cardwatch.entrypoints.cli.costs import TextCost, WrongChallenge, costs_from
from cardwatch.entrypoints.cli.history import Columns, Data, Format, From, Until, instant
from cardwatch.entrypoints.cli.options import DataDir, Json, LabelDelay, duration_ms, require_suffix, settings_for
from cardwatch.entrypoints.cli.output import console, print_json
from cardwatch.entrypoints.cli.threads import wait_quietly
from cardwatch.learning.tables import check_writable
from cardwatch.models.bundle import Costs

if TYPE_CHECKING:
    from cardwatch.learning.evaluate.measure import Evaluation


def evaluate(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="File to write, .html.")],
    layout: Format = None,
    columns: Columns = None,
    model: Model = None,
    data_dir: DataDir = None,
    since: From = None,
    until: Until = None,
    label_delay: LabelDelay = "7d",
    wrong_challenge: WrongChallenge = None,
    text: TextCost = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Measure a model on the labelled payments of a file, and write a report about it."""
    wait_quietly()
    from cardwatch.learning.evaluate.run import evaluate as measured  # noqa: PLC0415  needs the train extra
    from cardwatch.learning.evaluate.run import write_report  # noqa: PLC0415

    engine = engine_of(duration_ms(label_delay))
    require_suffix(out, ".html")
    costs_from(wrong_challenge, text, otherwise=Costs())  # refused before anything is read
    settings = settings_for(data_dir)
    bundle = bundle_for(engine, model, settings)
    costs = costs_from(wrong_challenge, text, otherwise=bundle.facts.costs or Costs())
    check_writable(out)
    payments = open_columns(data, layout, columns, settings)
    with shown(settings, workers) as running:
        found = measured(
            payments,
            bundle=bundle,
            engine=engine,
            source=data.name,
            from_ms=instant(since, "--from"),
            until_ms=instant(until, "--until"),
            costs=costs,
            work=out,
            running=running,
        )
    write_report(out, found, bundle)
    if as_json:
        print_json(found)
        return
    _print(found, out)


def _print(found: "Evaluation", out: Path) -> None:
    from cardwatch.learning.evaluate.page import describe  # noqa: PLC0415  needs the train extra

    data = found.data
    console.print(f"{found.model_version} on {data.payments:,} payments, {data.frauds:,} of them fraud", markup=False)
    table = Table("", "value", "")
    for what, value, words in describe(found):
        table.add_row(what, value, words)
    console.print(table)
    if data.rejected:
        console.print(f"{data.rejected:,} rows could not be used")
    console.print(f"report written to {out}", markup=False)
