"""`cardwatch accounts`: looking at accounts, releasing and erasing them."""

from contextlib import closing
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cardwatch.domain.errors import CardwatchError
from cardwatch.entrypoints.cli.options import DataDir, Json, settings_for
from cardwatch.entrypoints.cli.output import console, print_json
from cardwatch.entrypoints.views import view_account
from cardwatch.runtime.bootstrap import open_reader, open_sender, open_store, system_clock, system_randomness
from cardwatch.services.erase_account import erase_account
from cardwatch.services.put_account import release_account

app = typer.Typer(help="List, show, release and erase accounts.", no_args_is_help=True)

UserId = Annotated[str, typer.Argument(help="Id of the account.")]


@app.command("list")
def list_accounts(
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=10_000)] = 50,
    after: Annotated[str, typer.Option(help="Begin after this id.")] = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List accounts in order of their ids."""
    with closing(open_reader(settings_for(data_dir))) as reader:
        views = [view_account(account, reader.opted_out_since) for account in reader.accounts(limit=limit, after=after)]
    if as_json:
        print_json(views)
        return
    if not views:
        console.print("no accounts here; `cardwatch seed` writes five")
        return
    table = Table("account", "name", "phone", "language", "time zone", "state")
    for view in views:
        state = "held" if view.held_since else "opted out" if view.opted_out_at else ""
        cells = (view.user_id, view.name or "", view.phone_number or "", view.language, view.time_zone, state)
        table.add_row(*map(escape, cells))
    console.print(table)


@app.command()
def show(user_id: UserId, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show an account."""
    with closing(open_reader(settings_for(data_dir))) as reader:
        account = reader.account(user_id)
        if account is None:
            raise CardwatchError(f"there is no account {user_id}")
        view = view_account(account, reader.opted_out_since)
    if as_json:
        print_json(view)
        return
    table = Table(show_header=False, box=None)
    for name in view.__struct_fields__:
        if name != "home" and getattr(view, name) not in (None, []):
            table.add_row(name, escape(str(getattr(view, name))))
    if view.home is not None:
        table.add_row("home", escape(str(view.home.location or f"{view.home.latitude}, {view.home.longitude}")))
    console.print(table)


@app.command()
def release(user_id: UserId, data_dir: DataDir = None) -> None:
    """End the hold that a NO put on an account."""
    with closing(open_store(settings_for(data_dir))) as store:
        account = store.account(user_id)
        if account is None:
            raise CardwatchError(f"there is no account {user_id}")
        release_account(user_id, store=store)
    was_held = account.held_since_ms is not None
    now = "is asked again about suspicious payments" if was_held else "was not held"
    console.print(f"{user_id} {now}", markup=False)


@app.command()
def erase(
    user_id: UserId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Erase an account's personal data for good; its payments and labels stay under the id.

    Its open questions are taken back, and their payments go to review.
    """
    if not yes:
        typer.confirm(f"Erase the personal data of {user_id} for good?", abort=True)
    settings = settings_for(data_dir)
    sender, now_ms, token = open_sender(settings), system_clock().now_ms(), system_randomness().token(16)
    with closing(open_store(settings)) as store:
        if not erase_account(user_id, store=store, sender=sender, now_ms=now_ms, token=token):
            raise CardwatchError(f"there is no account {user_id}")
        store.scrub()  # moved rows leave copies in the file's free pages
    console.print(f"the personal data of {user_id} is erased", markup=False)
