"""`cardwatch transactions`: looking at payments in the data folder, also while a server writes it."""

from collections.abc import Sequence
from contextlib import closing
from typing import Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from cardwatch.domain.errors import CardwatchError
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.entrypoints.cli.options import DataDir, Json, settings_for
from cardwatch.entrypoints.cli.output import console, print_json
from cardwatch.entrypoints.views import TransactionView, view_reasons, view_transaction
from cardwatch.runtime.bootstrap import load_judges, open_reader
from cardwatch.runtime.settings import Settings
from cardwatch.services.explain_transaction import NotExplained, explain_transaction

_WIDE = 120

app = typer.Typer(help="List and show payments.", no_args_is_help=True)


@app.command("list")
def list_payments(
    user_id: Annotated[str | None, typer.Option(help="Only of this account.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only in this status.")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=500)] = 20,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List payments, newest first."""
    with closing(open_reader(settings_for(data_dir))) as reader:
        page = reader.transactions(user_id=user_id, status=status, limit=limit, before=None)
    views = [view_transaction(record) for record in page.records]
    if as_json:
        print_json(views)
        return
    if not views:
        console.print("no payments here; `cardwatch seed` writes some")
        return
    console.print(_table(views, wide=console.width >= _WIDE))


def _table(views: Sequence[TransactionView], *, wide: bool) -> Table:
    """Lay payments out; a narrow terminal shows what fits beside an id that can be copied."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("transaction", "time (UTC)", *(("account", "merchant", "score") if wide else ()), "amount", "status"):
        justify: Literal["left", "right"] = "right" if name in ("amount", "score") else "left"
        table.add_column(name, justify=justify, no_wrap=True)
    for view in views:
        score = "" if view.fraud_score is None else f"{view.fraud_score:.4f}"
        cells = [escape(view.transaction_id), view.timestamp[5:16].replace("T", " ")]
        cells += [escape(view.user_id), escape(view.merchant), score] if wide else []
        table.add_row(*cells, f"{view.amount} {view.currency}", view.status)
    return table


@app.command()
def show(
    transaction_id: Annotated[str, typer.Argument(help="Id of the payment.")],
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Explain its score: what every feature of the model did.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show a payment with its decision, reasons, challenge and label."""
    settings = settings_for(data_dir)
    with closing(open_reader(settings)) as reader:
        record = reader.transaction(transaction_id)
    if record is None:
        raise CardwatchError(f"there is no transaction {transaction_id}")
    if reasons:
        _explain(record, settings, as_json=as_json)
        return
    view = view_transaction(record)
    if as_json:
        print_json(view)
        return
    _print(view)


def _explain(record: TransactionRecord, settings: Settings, *, as_json: bool) -> None:
    explained = explain_transaction(record, judges=load_judges(settings))
    if isinstance(explained, NotExplained):
        raise CardwatchError(explained.why)
    view = view_reasons(explained)
    if as_json:
        print_json(view)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("log-odds", justify="right")
    table.add_column("feature")
    table.add_column("what the model saw")
    table.add_row(f"{view.base:+.4f}", "", "an average payment")
    for reason in view.reasons:
        table.add_row(f"{reason.contribution:+.4f}", reason.feature, escape(reason.text))
    table.add_row(
        f"{view.margin:+.4f}", "", f"together: the score {record.decision.score if record.decision else 0:.4f}"
    )
    console.print(table)
    console.print(f"model {view.model_version}, feature definition {view.spec_hash[:12]}", markup=False)


def _print(view: TransactionView) -> None:
    table = Table(show_header=False, box=None)
    for name in view.__struct_fields__:
        value = getattr(view, name)
        if name not in ("reasons", "challenge", "label") and value is not None:
            table.add_row(name, escape(str(value)))
    console.print(table)
    for reason in view.reasons:
        console.print(f"  {reason.contribution:+.2f}  {reason.text}", markup=False)
    if view.challenge is not None:
        console.print(f"challenge {view.challenge.state}, expires {view.challenge.expires_at}")
    if view.label is not None:
        console.print(f"label {view.label.value} from {view.label.source}, known from {view.label.available_at}")
