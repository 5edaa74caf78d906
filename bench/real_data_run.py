"""The work of `bench/real_data.py`: import a file, pay from it over HTTP, and examine what is left on the disk."""

import argparse
import asyncio
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from bench.card_numbers import card_numbers_in, files_with_card_numbers, occurrences
from bench.keepalive import KeepAlive, on_connections
from bench.machine import machine
from bench.server_process import ServerProcess, clean_environment
from bench.stored import Verdict, examine

from cardwatch.domain.history import HistoryRow
from cardwatch.domain.times import format_instant
from cardwatch.domain.transaction import Transaction
from cardwatch.learning.dataset_formats import FORMATS
from cardwatch.learning.datasets import Dataset, Tokens
from cardwatch.runtime.keys import card_token_key
from cardwatch.runtime.settings import read_settings

ROOT = Path(__file__).resolve().parents[1]
HANDBOOK_MONTH = ("2018-04-01", "2018-05-01")

NO_PAYMENT = "amount must be a number greater than 0"
"""The one reason to refuse a row of these files: 33 of the handbook's 1,504,628 are over nothing."""


class Trip(msgspec.Struct, kw_only=True):
    """What a file's payments went through."""

    name: str
    imported: dict[str, int]
    """What `cardwatch import --json` said."""
    refused: dict[str, int]
    """Rows of the whole file that were not taken, by reason."""
    import_s: float
    ready_s: float
    """How long the server took to be ready on what was imported."""
    statuses: dict[int, int]
    """Answers to the posts."""
    post_s: float
    verdict: Verdict
    files_with_cards: dict[str, int]
    cards_in_metrics: int
    prefixed_merchants: int
    database_mb: float

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, refused, decided twice, or left a card number behind."""
        return (
            set(self.refused) <= {NO_PAYMENT}
            and set(self.statuses) == {201}
            and self.verdict.sound
            and not self.files_with_cards
            and not self.cards_in_metrics
            and not self.prefixed_merchants
        )

    def __str__(self) -> str:
        rows, posts = self.imported["added"], sum(self.statuses.values())
        return (
            f"{self.name}\n"
            f"  imported {rows:,} payments and {self.imported['accounts']:,} accounts in {self.import_s:.1f} s "
            f"({rows / self.import_s:,.0f}/s), refused: {self.refused or 'none'}; {self.database_mb:,.0f} MB on disk\n"
            f"  server ready on it after {self.ready_s:.2f} s\n"
            f"  posted   {posts:,} in {self.post_s:.1f} s ({posts / self.post_s:,.0f}/s), answers {self.statuses}\n"
            f"  stored   {self.verdict}\n"
            f"  card numbers: in files {self.files_with_cards or 'none'}, in /metrics {self.cards_in_metrics}; "
            f"merchants with a prefix: {self.prefixed_merchants}"
        )


def data_folder() -> Path:
    """Return where the files are."""
    return Path(os.environ.get("CARDWATCH_BENCH_DATA") or ROOT.parent / "shared" / "data")


def take(
    file: Path,
    layout: str,
    folder: Path,
    *,
    posts: int,
    cards: Sequence[str],
    connections: int = 16,
    between: tuple[str, str] | None = None,
) -> Trip:
    """Import a file into a new folder, serve it, post some of its payments again under new ids, and examine all."""
    data_dir = folder / "data"
    began = time.perf_counter()
    imported = run_import(file, layout, data_dir, folder, between=between)
    import_s = time.perf_counter() - began
    bodies = list(live_bodies(file, layout, data_dir, posts))
    statuses: Counter[int] = Counter()
    ids: list[str] = []

    async def post(connection: KeepAlive, body: object) -> None:
        assert isinstance(body, bytes)  # noqa: S101
        status, answer = await connection.call("POST", "/transaction", body)
        statuses[status] += 1
        if status == 201:
            ids.append(msgspec.json.decode(answer)["transaction_id"])

    with ServerProcess(data_dir, log=folder / "server.log") as server:
        began = time.perf_counter()
        asyncio.run(on_connections(server.port, connections, bodies, post))
        post_s = time.perf_counter() - began
        metrics = server.get("/metrics") or b""
        while_serving = files_with_card_numbers(written_files(folder), cards)
    return Trip(
        name=f"{file.name} as {layout}",
        imported=imported,
        refused=refusals(folder / "rejects.csv"),
        import_s=import_s,
        ready_s=server.start_s,
        statuses=dict(statuses),
        post_s=post_s,
        verdict=examine(data_dir / "cardwatch.db", ids),
        files_with_cards=while_serving | files_with_card_numbers(written_files(folder), cards),
        cards_in_metrics=len(card_numbers_in(metrics, cards)),
        prefixed_merchants=occurrences(written_files(folder), b'"merchant":"fraud_'),
        database_mb=(data_dir / "cardwatch.db").stat().st_size / 1e6,
    )


def run_import(
    file: Path, layout: str, data_dir: Path, folder: Path, *, between: tuple[str, str] | None
) -> dict[str, int]:
    """Run `cardwatch import`; what it says is kept in the folder."""
    command = [sys.executable, "-m", "cardwatch", "import", "--data", str(file), "--format", layout, "--json"]
    command += ["--data-dir", str(data_dir), "--rejects", str(folder / "rejects.csv")]
    if between is not None:
        command += ["--from", between[0], "--until", between[1]]
    with (folder / "import.log").open("wb") as log:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=log, env=clean_environment(), cwd=folder, check=True
        )
    (folder / "import.json").write_bytes(done.stdout)
    return msgspec.json.decode(done.stdout, type=dict[str, int])


def refusals(rejects: Path) -> dict[str, int]:
    """Count the rows that an import did not take, by reason."""
    if not rejects.exists():
        return {}
    with rejects.open(encoding="utf-8", newline="") as file:
        return dict(Counter(row["reason"] for row in csv.DictReader(file)))


def live_bodies(file: Path, layout: str, data_dir: Path, count: int) -> list[bytes]:
    """Return payments of a file as their sender would post them: tokens for cards, ids as they are behind "live:".

    A colon is neither letter nor digit, so an id that looked like a card number would still be refused.
    """
    dataset = Dataset(file, FORMATS[layout], tokens=Tokens(card_token_key(read_settings({}, data_dir=data_dir))))
    step = max(1, len(dataset) // count)
    rows = [row for number, row in enumerate(dataset) if number % step == 0][:count]
    return [msgspec.json.encode(live_body(row.transaction)) for row in rows if isinstance(row, HistoryRow)]


def live_body(transaction: Transaction) -> dict[str, Any]:
    """Return the body of `POST /transaction` for a payment of a file."""
    body: dict[str, Any] = {
        "transaction_id": f"live:{transaction.transaction_id}",
        "user_id": transaction.user_id,
        "amount": transaction.amount.decimal,
        "merchant": transaction.merchant,
        "timestamp": format_instant(transaction.timestamp_ms),
    }
    if transaction.category:
        body["category"] = transaction.category
    if place := transaction.merchant_place:
        body |= {"merchant_latitude": place.latitude, "merchant_longitude": place.longitude}
    return body


def written_files(folder: Path) -> list[Path]:
    """Return every file that the import and the server wrote: database, log of it, keys, logs, refused rows."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def card_numbers_of(file: Path) -> list[str]:
    """Return the distinct card numbers of a Sparkov file, as text."""
    import polars as pl

    frame = pl.read_csv(file, infer_schema=False) if file.suffix == ".csv" else pl.read_parquet(file)
    return [str(number) for number in frame["cc_num"].unique()]


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=20_000, help="payments of each file to post")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--folder", type=Path, default=None, help="where to put the files")
    options = parser.parse_args()
    source = data_folder()
    if not (source / "sparkov.parquet").exists():
        print(f"there are no files in {source}; set CARDWATCH_BENCH_DATA: nothing was measured")
        return 0
    print(machine(), flush=True)
    cards = card_numbers_of(source / "sparkov.parquet")
    print(f"{len(cards)} distinct card numbers", flush=True)
    sound = True
    for name, layout, between in (
        ("sparkov.parquet", "sparkov", None),
        ("handbook.parquet", "handbook", HANDBOOK_MONTH),
    ):
        scratch = Path(tempfile.mkdtemp(prefix="cardwatch-real-", dir=options.folder))
        try:
            trip = take(
                source / name,
                layout,
                scratch,
                posts=options.posts,
                cards=cards,
                connections=options.connections,
                between=between,
            )
        finally:
            shutil.rmtree(scratch)
        print(trip, flush=True)
        sound = sound and trip.sound
    print("all sound" if sound else "FAILED")
    return 0 if sound else 1
