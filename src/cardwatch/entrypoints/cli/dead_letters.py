"""`cardwatch dead-letters`: what could not be handled, to be listed and taken up again."""

from collections import Counter
from contextlib import closing
from typing import Annotated

import typer
from rich.table import Table

from cardwatch.domain.errors import CardwatchError
from cardwatch.domain.times import format_instant
from cardwatch.entrypoints.cli.options import DataDir, Json, settings_for
from cardwatch.entrypoints.cli.output import console, print_json
from cardwatch.features.engine import default_engine
from cardwatch.runtime.bootstrap import open_reader, open_sender, open_store, system_clock
from cardwatch.services.replay_dead_letters import replay_dead_letter

app = typer.Typer(help="List what could not be handled, and take it up again.", no_args_is_help=True)


@app.command("list")
def list_dead_letters(
    limit: Annotated[int, typer.Option(help="How many, oldest first.", min=1, max=10_000)] = 100,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List what was set aside, oldest first."""
    with closing(open_reader(settings_for(data_dir))) as reader:
        letters = reader.dead_letters(limit=limit)
    if as_json:
        print_json(letters)
        return
    if not letters:
        console.print("nothing was set aside")
        return
    table = Table("id", "time (UTC)", "consumer", "about", "cause")
    for letter in letters:
        when = format_instant(letter.at_ms)[:19]
        table.add_row(str(letter.dead_letter_id), when, letter.consumer, letter.key, letter.cause)
    console.print(table)


@app.command()
def replay(
    limit: Annotated[int, typer.Option(help="How many, oldest first.", min=1, max=10_000)] = 100,
    data_dir: DataDir = None,
) -> None:
    """Take up again what was set aside; what fails again stays."""
    outcomes: Counter[str] = Counter()
    settings = settings_for(data_dir)
    sender, clock = open_sender(settings), system_clock()
    with closing(open_store(settings)) as store:
        for letter in store.dead_letters(limit=limit):
            try:
                replayed = replay_dead_letter(
                    letter, store=store, engine=default_engine(), sender=sender, now_ms=clock.now_ms()
                )
                outcomes[replayed.value] += 1
            except CardwatchError as error:
                outcomes["failed again"] += 1
                console.print(f"{letter.key}: {error}", markup=False)
    console.print(", ".join(f"{count} {name}" for name, count in outcomes.items()) or "nothing was set aside")
