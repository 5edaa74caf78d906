"""What the commands share: where they print, how long work shows progress, and how `--json` answers."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_PIPED_WIDTH = 200
"""Of what no terminal shows: nothing is cut for want of room."""

console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
notes = Console(stderr=True, soft_wrap=True, highlight=False)
"""For what is said beside the result: standard output stays clean for pipes."""


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


@contextmanager
def progress(text: str, *, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while work goes on; the function given advances it."""
    with phases() as begin:
        yield begin(text, total)


@contextmanager
def phases() -> Iterator[Callable[[str, int | None], Callable[[int], None]]]:
    """Show a bar for each step of long work; the function given begins one, and returns what advances it.

    Where no terminal shows it nothing is written at all.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as bar:

        def begin(text: str, total: int | None) -> Callable[[int], None]:
            task = bar.add_task(text, total=total)
            return lambda amount: bar.advance(task, amount)

        yield begin
