"""The command `cardwatch`: its groups, and how errors end: one line, and 1 for failed, 2 for wrong usage."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from cardwatch import __version__
from cardwatch.domain.errors import CardwatchError
from cardwatch.entrypoints.cli import (
    accounts,
    dead_letters,
    demo,
    doctor,
    evaluate,
    history,
    learn,
    models,
    policy,
    serve,
    transactions,
)
from cardwatch.entrypoints.cli.options import WrongUsage
from cardwatch.entrypoints.cli.output import console, notes
from cardwatch.runtime.settings import WrongSetting

_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
_CommandLineError: type[typer.BadParameter] = typer.BadParameter.__mro__[2]
"""The parser's own errors: Typer carries its parser inside, and names them nowhere public."""

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="cardwatch",
    help="Real-time payment-fraud detection that asks the cardholder.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("seed")(history.seed)
app.command("simulate")(demo.simulate)
app.command("import")(history.import_payments)
app.command("export")(history.export)
app.command("features")(learn.features)
app.command("train")(learn.train)
app.command("evaluate")(evaluate.evaluate)
app.command("score")(learn.score)
app.add_typer(models.app, name="model")
app.add_typer(policy.app, name="policy")
app.add_typer(transactions.app, name="transactions")
app.add_typer(accounts.app, name="accounts")
app.add_typer(dead_letters.app, name="dead-letters")
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(f"cardwatch {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Real-time payment-fraud detection that asks the cardholder."""


def run(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code. No traceback reaches the user for an error made on purpose."""
    try:
        return int(app(args=arguments, standalone_mode=False) or 0)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (_CommandLineError, CardwatchError, OSError) as error:
        return _fail(error)


def _fail(error: Exception) -> int:
    """Say what went wrong in one line; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        return FAILED
    if isinstance(error, _CommandLineError):
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            return WRONG_USAGE  # the help is printed already
        message = error.format_message() + (f" (see `{context.command_path} --help`)" if context else "")
    elif isinstance(error, OSError) and error.filename:
        message = f"{error.filename}: {error.strerror}"
    else:
        message = str(error)
    notes.print(f"[bold red]error:[/] {_escape(message)}")
    return WRONG_USAGE if isinstance(error, _UsageError | WrongSetting | WrongUsage) else FAILED


def _escape(text: str) -> str:
    """Return one line that a terminal shows as it is: no markup, and nothing that moves its cursor."""
    line = " ".join(text.split())
    return escape("".join(one if one.isprintable() else "\ufffd" for one in line))
