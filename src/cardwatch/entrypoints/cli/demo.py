"""`cardwatch demo`: a fresh system with accounts, history, traffic and a phone; `simulate`: traffic for any server."""

import asyncio
import itertools
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from cardwatch.domain.errors import CardwatchError
from cardwatch.domain.submission import Submission
from cardwatch.entrypoints.cli.client import Client
from cardwatch.entrypoints.cli.history import seed_folder
from cardwatch.entrypoints.cli.options import DataDir, Json, settings_for
from cardwatch.entrypoints.cli.output import console, notes, print_json, progress
from cardwatch.entrypoints.cli.serve import Host, Port, run_server
from cardwatch.entrypoints.cli.walkthrough import walk_through
from cardwatch.learning.seed_accounts import seed_accounts
from cardwatch.learning.simulate.demo import LivePayment, live_payments

if TYPE_CHECKING:
    from cardwatch.runtime.application import Application

_TRAFFIC_SEED = 7


def demo(
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    rate: Annotated[float, typer.Option(help="Simulated payments a second.", min=0.0, max=50.0)] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Run the whole loop in the terminal, then exit.")] = False,
) -> None:
    """Watch it work: seeded accounts, a steady trickle of payments, and a phone to answer from."""
    with _folder(data_dir) as folder:
        settings = settings_for(folder, host=host, port=0 if once and port is None else port)
        if settings.uses_twilio:
            raise CardwatchError("the demo sends to its simulated phone only; unset TWILIO_ACCOUNT_SID to run it")
        seed_folder(settings)
        if once:
            walk_through(settings)
        else:
            notes.print(
                f"\nOpen [bold]http://{settings.host}:{settings.port}/[/] and answer from the phone beside it.\n"
            )
            run_server(settings, tasks=[lambda application: _trickle(application, rate)])


def simulate(
    url: Annotated[str, typer.Option(help="Server to pay at.")] = "http://127.0.0.1:8000",
    count: Annotated[int, typer.Option(help="How many payments.", min=1, max=1_000_000)] = 100,
    rate: Annotated[float, typer.Option(help="Payments a second; 0 is as fast as it goes.", min=0.0)] = 20.0,
    seed: Annotated[int, typer.Option(help="Same seed, same payments.")] = 1,
    api_key: Annotated[str | None, typer.Option(envvar="CARDWATCH_API_KEY", help="Key for X-API-Key.")] = None,
    as_json: Json = False,
) -> None:
    """Send simulated payments to a running server and say how they were decided."""
    client = Client(url, api_key=api_key)
    outcomes: Counter[str] = Counter()
    payments = live_payments(seed_accounts(created_at_ms=0), seed=seed)
    started = time.perf_counter()
    with progress("paying", total=count) as advance:
        for number, payment in enumerate(itertools.islice(payments, count), 1):
            status, answer = client.call("POST", "/transaction", _body(payment))
            outcomes[answer["status"] if status < 300 else f"refused with {status}"] += 1
            advance(1)
            if rate:
                time.sleep(max(0.0, started + number / rate - time.perf_counter()))
    client.close()
    if as_json:
        print_json(outcomes)
        return
    table = Table("status", "payments", title=f"{count} payments in {time.perf_counter() - started:.1f} s")
    for outcome, number in outcomes.most_common():
        table.add_row(outcome, str(number))
    console.print(table)


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    """Give the demo a folder of its own that goes with it, unless one was named."""
    if data_dir is not None:
        yield data_dir
        return
    folder = Path(tempfile.mkdtemp(prefix="cardwatch-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _trickle(application: "Application", rate: float) -> None:
    """Pay for as long as the demo runs."""
    if rate <= 0:
        return
    payments = await asyncio.to_thread(_first, live_payments(seed_accounts(created_at_ms=0), seed=_TRAFFIC_SEED))
    for payment in payments:
        await application.record(msgspec.convert(_body(payment), Submission), wait_ms=0)
        await asyncio.sleep(1 / rate)


def _first(payments: Iterator[LivePayment]) -> Iterator[LivePayment]:
    """Draw the first payment, which takes the longest, away from the server's loop."""
    return itertools.chain([next(payments)], payments)


def _body(payment: LivePayment) -> dict[str, str]:
    fields = {
        "user_id": payment.user_id,
        "amount": payment.amount.decimal,
        "currency": payment.amount.currency,
        "merchant": payment.merchant,
        "location": payment.location,
        "category": payment.category,
    }
    return {name: value for name, value in fields.items() if value}
