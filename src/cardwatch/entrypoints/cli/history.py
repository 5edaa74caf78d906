"""`seed`, `import` and `export`: history into the store, and payments with their labels out of it."""

import csv
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from cardwatch.domain.history import HistoryRow
from cardwatch.domain.times import parse_instant
from cardwatch.entrypoints.cli.options import (
    DataDir,
    Json,
    LabelDelay,
    WrongUsage,
    duration_ms,
    require_suffix,
    settings_for,
)
from cardwatch.entrypoints.cli.output import console, notes, print_json, progress
from cardwatch.learning.dataset_formats import FORMATS, read_map
from cardwatch.learning.datasets import Dataset, Rejected, Tokens, usable_rows
from cardwatch.learning.tables import check_writable, move
from cardwatch.runtime.bootstrap import (
    load_judges,
    open_gazetteer,
    open_reader,
    open_store,
    system_clock,
    system_randomness,
)
from cardwatch.runtime.keys import card_token_key
from cardwatch.runtime.seeding import Seeded, seed_store
from cardwatch.runtime.settings import Settings
from cardwatch.services.export_payments import COLUMNS, export_rows
from cardwatch.services.import_history import import_history

FileFormat = StrEnum("FileFormat", {name: name for name in FORMATS})  # type: ignore[misc]

Data = Annotated[Path, typer.Option("--data", help="csv, csv.gz or parquet.", exists=True, dir_okay=False)]
Format = Annotated[FileFormat | None, typer.Option("--format", help="What the columns are.")]
Columns = Annotated[Path | None, typer.Option("--map", help="JSON file that names the columns, instead of --format.")]
From = Annotated[str | None, typer.Option("--from", help="First day or instant, inclusive (UTC).")]
Until = Annotated[str | None, typer.Option("--until", help="Last day or instant, exclusive (UTC).")]


def seed(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Write the accounts user_001 to user_005 with 90 days of history each; again changes nothing."""
    settings = settings_for(data_dir)
    seeded = seed_folder(settings)
    if as_json:
        print_json({"accounts": seeded.accounts, "payments": seeded.payments, "data_dir": str(settings.data_dir)})
        return
    console.print(
        f"{seeded.accounts} accounts and {seeded.payments} payments written to {settings.data_dir}", markup=False
    )
    if not seeded.accounts:
        console.print("everything was there already")


def seed_folder(settings: Settings) -> Seeded:
    """Write what a newcomer starts with into a data folder, with a progress bar."""
    judges = load_judges(settings)
    with (
        closing(open_store(settings)) as store,
        progress("seeding accounts and 90 days of history", total=5) as advance,
    ):
        return seed_store(
            store,
            judges=judges,
            gazetteer=open_gazetteer(),
            clock=system_clock(),
            randomness=system_randomness(),
            progress=advance,
        )


def import_payments(
    data: Data,
    layout: Format = None,
    columns: Columns = None,
    data_dir: DataDir = None,
    since: From = None,
    until: Until = None,
    label_delay: LabelDelay = "7d",
    rejects: Annotated[
        Path | None, typer.Option(help="File for rows that cannot be used; default: NAME.rejects.csv in this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take history into the store: payments, labels and feature state; nobody is asked anything."""
    label_delay_ms = duration_ms(label_delay)
    settings = settings_for(data_dir)
    dataset = open_dataset(data, layout, columns, settings)
    with (
        closing(open_store(settings)) as store,
        closing(_Rejects(rejects or Path(f"{data.name}.rejects.csv"))) as reasons,
        progress(f"importing {data.name}", total=len(dataset)) as advance,
    ):
        rows = between(usable_rows(dataset, reject=reasons.keep), since, until)
        imported = import_history(
            rows,
            store=store,
            engine=load_judges(settings).engine,
            now_ms=system_clock().now_ms(),
            label_delay_ms=label_delay_ms,
            progress=advance,
        )
    if as_json:
        print_json(
            {"added": imported.added, "known": imported.known, "accounts": imported.accounts, "rejected": reasons.count}
        )
        return
    console.print(
        f"{imported.added:,} payments and {imported.accounts:,} accounts added, {imported.known:,} were there already"
    )
    if reasons.count:
        console.print(f"{reasons.count:,} rows were not used; each with its reason in {reasons.path}", markup=False)


def export(
    out: Annotated[Path, typer.Option("--out", help="File to write, .csv.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write payments, their labels and from when on each was known, for training on your own data."""
    require_suffix(out, ".csv")
    count = 0
    with (
        closing(open_reader(settings_for(data_dir))) as reader,
        _whole(out) as file,
        progress("exporting") as advance,
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in export_rows(reader):
            writer.writerow(row)
            count += 1
            advance(1)
    if as_json:
        print_json({"payments": count, "file": str(out)})
        return
    console.print(f"{count:,} payments written to {out}; train on them with --format cardwatch", markup=False)


def open_dataset(data: Path, layout: FileFormat | None, columns: Path | None, settings: Settings) -> Dataset:
    """Open a file of payments by a known format or a column map; card numbers in it become tokens."""
    if (layout is None) == (columns is None):
        raise WrongUsage.at("", "give either --format or --map")
    known = FORMATS[layout.value] if layout is not None else None
    dataset = Dataset(
        data,
        known or read_map(columns or Path()),
        tokens=Tokens(card_token_key(settings)),
        gazetteer=open_gazetteer(),
    )
    if dataset.notice:
        notes.print(dataset.notice, markup=False)
    return dataset


def between(rows: Iterator[HistoryRow], since: str | None, until: str | None) -> Iterator[HistoryRow]:
    """Keep the rows from an instant (inclusive) until another (exclusive)."""
    from_ms, until_ms = instant(since, "--from"), instant(until, "--until")
    for row in rows:
        at_ms = row.transaction.timestamp_ms
        if (from_ms is None or at_ms >= from_ms) and (until_ms is None or at_ms < until_ms):
            yield row


def instant(text: str | None, option: str) -> int | None:
    """Read a day ("2018-07-25") or an instant (RFC 3339) as milliseconds."""
    if text is None:
        return None
    try:
        return parse_instant(f"{text}T00:00:00Z" if len(text) == len("2018-07-25") else text)
    except ValueError as error:
        raise WrongUsage.at("", f"{option} {error}, or a day such as 2018-07-25") from error


@contextmanager
def _whole(path: Path) -> Iterator[IO[str]]:
    """Give a file that gets its name when it is whole; what had the name stays until then."""
    check_writable(path)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            yield file
        move(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


class _Rejects:
    """Writes the rows that cannot be used to a file, which appears with the first of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: IO[str] | None = None

    def keep(self, row: Rejected) -> None:
        """Write a row's number and what is wrong with it."""
        if self._file is None:
            self._file = self.path.open("w", newline="", encoding="utf-8")
            csv.writer(self._file).writerow(("row", "reason"))
        csv.writer(self._file).writerow((row.row, row.reason))
        self.count += 1

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
