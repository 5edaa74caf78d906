"""What a start does with the log that an earlier process or an import left: all of it before the server is ready."""

import asyncio
import gc
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from bench.server_process import clean_environment

from cardwatch.adapters.sqlite.store import SqliteReader
from cardwatch.domain.account import Account
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.submission import Submission
from cardwatch.domain.transaction import Status
from cardwatch.entrypoints.http.app import make_app
from cardwatch.entrypoints.http.asgi import Message
from cardwatch.features.engine import default_engine
from cardwatch.runtime.application import Application
from cardwatch.runtime.bootstrap import open_application, open_gazetteer, open_store, system_clock, system_randomness
from cardwatch.runtime.scoring import CONSUMER, ENTRIES_MAX
from cardwatch.runtime.settings import Settings, read_settings
from cardwatch.services.import_history import import_history
from cardwatch.services.record_transaction import record_transaction
from tests.builders import make_transaction
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN

HISTORY_ROWS = 3 * ENTRIES_MAX + 1
LEFT_PENDING = 5
NEXT = Submission(user_id="user_001", amount=Decimal("4.75"), merchant="Corner Cafe")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a folder that holds imported history and, behind it, payments nobody has decided."""
    settings = read_settings({}, data_dir=tmp_path / "data")
    store, clock = open_store(settings), system_clock()
    rows = [HistoryRow(make_transaction(f"old_{n}"), Account(user_id="user_001")) for n in range(HISTORY_ROWS)]
    import_history(rows, store=store, engine=default_engine(), now_ms=clock.now_ms())
    for number in range(LEFT_PENDING):
        left = Submission(transaction_id=f"left_{number}", user_id="user_001", amount=Decimal(9), merchant="Bakery")
        record_transaction(
            left, store=store, gazetteer=open_gazetteer(), randomness=system_randomness(), now_ms=clock.now_ms()
        )
    store.close()
    return settings


def started(settings: Settings) -> tuple[int, list[Status], Status]:
    """Start on a folder; returns where the scoring cursor stands, what became of those left, and of the next."""

    async def start_and_pay(application: Application) -> tuple[int, list[Status], Status]:
        await application.start()
        try:
            reader = SqliteReader(settings.database)
            position = reader.cursor(CONSUMER)
            left = [reader.transaction(f"left_{number}") for number in range(LEFT_PENDING)]
            reader.close()
            recorded = await application.record(NEXT, wait_ms=10_000)
        finally:
            await application.stop()
        return position, [record.status for record in left if record is not None], recorded.record.status

    return asyncio.run(start_and_pay(open_application(settings)))


def test_payments_left_pending_are_decided_at_the_start(settings: Settings) -> None:
    """Nothing that an earlier process acknowledged stays pending once the server is ready."""
    _, left, after = started(settings)
    assert len(left) == LEFT_PENDING
    assert Status.PENDING not in left
    assert after is not Status.PENDING


def test_imported_history_is_passed_over_at_the_start(settings: Settings) -> None:
    """The log of an import is read before the server is ready, so that no payment waits behind it."""
    reader = SqliteReader(settings.database)
    imported = [entry for entry in reader.log(after=0, limit=10_000) if entry.key.startswith("old_")]
    reader.close()
    position, _, _ = started(settings)
    assert len(imported) == 2 * HISTORY_ROWS
    assert position >= imported[-1].sequence


def test_history_alone_is_passed_over_too(tmp_path: Path) -> None:
    """A log without anything to decide moves the cursor all the same, in one write."""
    settings = read_settings({}, data_dir=tmp_path / "data")
    store = open_store(settings)
    rows = [HistoryRow(make_transaction(f"old_{n}"), Account(user_id="user_001")) for n in range(HISTORY_ROWS)]
    import_history(rows, store=store, engine=default_engine(), now_ms=system_clock().now_ms())
    last = store.log(after=0, limit=10_000)[-1].sequence
    store.close()
    assert started(settings)[0] == last


def test_a_served_process_spares_the_collector_what_lives_as_long_as_itself(tmp_path: Path) -> None:
    """Between start and stop the objects of the start are frozen, so that full collections hold nobody up."""
    app = make_app(open_application(read_settings({}, data_dir=tmp_path)), randomness=system_randomness())
    frozen: list[int] = []

    async def serve() -> None:
        steps = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Message:
            return {"type": next(steps)}

        async def send(_: Message) -> None:
            frozen.append(gc.get_freeze_count())

        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    asyncio.run(serve())
    assert frozen[0] > 10_000
    assert frozen[1] == 0


def test_the_providers_sdk_is_loaded_before_the_server_is_ready(tmp_path: Path) -> None:
    """Importing it takes most of a second, in which the first text after a start would hold payments up."""
    environment = {
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_FROM_NUMBER": "+12025550199",
        "CARDWATCH_TWILIO_API_URL": "http://127.0.0.1:9",
    }
    opening = (
        "import os, sys; from cardwatch.runtime.bootstrap import open_application;"
        "from cardwatch.runtime.settings import read_settings;"
        "open_application(read_settings(os.environ)); sys.exit('twilio.rest.api.v2010' not in sys.modules)"
    )
    settings = clean_environment() | environment | {"CARDWATCH_DATA_DIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", opening], env=settings, check=False, timeout=60).returncode == 0
