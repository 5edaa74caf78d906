"""Replay of whole files: however it is cut, stopped and taken up again, the features are those of row by row."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from cardwatch.domain.errors import InvalidInput, OperatingError
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.times import DAY_MS, HOUR_MS
from cardwatch.features.engine import default_engine
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.dataset_formats import FORMATS
from cardwatch.learning.datasets import Dataset, Tokens
from cardwatch.learning.feature_file import feature_file
from cardwatch.learning.offline import order, partition, pipeline, work
from cardwatch.learning.offline.pipeline import Options
from cardwatch.learning.offline.work import work_folder
from cardwatch.learning.offline.workers import in_processes
from cardwatch.learning.replay import replay_sample
from cardwatch.learning.running import Running
from tests.learning.naive import naive_vectors, printed
from tests.learning.test_datasets import DATA

TOKENS = Tokens(b"sixteen bytes ok")
ENGINE = default_engine()
START_MS = 1_522_540_800_000
ROWS = 700


def write_payments(path: Path, *, seed: int = 3, rows: int = ROWS) -> Path:
    """Write payments of few accounts, one of them busy, with devices, places, labels, ties in time, in no order."""
    draw = random.Random(seed)
    lines = list[dict[str, object]]()
    for number in range(rows):
        at_ms = START_MS + draw.randrange(60 * 24) * HOUR_MS + draw.choice([0, 0, 250, 61_000])
        fraud = draw.random() < 0.2
        lines.append(
            {
                "transaction_id": f"t{draw.randrange(10**6)}-{number}",
                "user_id": "busy" if draw.random() < 0.5 else f"u{draw.randrange(12)}",
                "amount": f"{draw.uniform(1, 900):.2f}",
                "currency": draw.choice(["USD", "USD", "EUR"]),
                "account_currency": "USD",
                "merchant": f"shop {draw.randrange(15)}",
                "timestamp": at_ms / 1000,
                "device_id": draw.choice(["", "d1", "d2"]),
                "latitude": draw.choice(["", "47.6"]),
                "longitude": "-122.3",
                "time_zone": "America/Chicago",
                "label": draw.choice(["fraud"] if fraud else ["", "genuine"]),
                "available_at": draw.choice(["", (at_ms + draw.randrange(20) * DAY_MS) / 1000 if fraud else ""]),
            }
        )
    lines[5]["amount"] = "free"
    frame = pl.DataFrame(lines, schema_overrides={"available_at": pl.String}, strict=False, infer_schema_length=None)
    frame.write_parquet(path)
    return path


def columns_of(path: Path) -> PaymentColumns:
    """Open the file by column."""
    return PaymentColumns(path, FORMATS["cardwatch"], tokens=TOKENS)


def rows_of(path: Path) -> list[HistoryRow]:
    """Read the file by row."""
    return [row for row in Dataset(path, FORMATS["cardwatch"], tokens=TOKENS) if isinstance(row, HistoryRow)]


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    """Write a file of payments."""
    return write_payments(tmp_path / "payments.parquet")


WINDOW: dict[str, Any] = {"from_ms": START_MS + 20 * DAY_MS, "until_ms": START_MS + 50 * DAY_MS}


HERE = Running(workers=1)


def computed(payments: Path, out: Path, running: Running = HERE, **options: Any) -> bytes:
    """Compute features into a file and return its bytes."""
    feature_file(
        columns_of(payments), engine=ENGINE, out=out, options=Options(**{**WINDOW, **options}), running=running
    )
    assert not out.with_name(out.name + ".work").exists()
    return out.read_bytes()


@pytest.mark.parametrize("window", [{}, WINDOW])
def test_features_are_those_of_row_by_row(payments: Path, tmp_path: Path, window: dict[str, Any]) -> None:
    """Every bit, in order of (time, id), labels at their moment, nothing later having any effect."""
    out = tmp_path / "features.parquet"
    feature_file(columns_of(payments), engine=ENGINE, out=out, options=Options(partitions=3, **window))
    ids, vectors = naive_vectors(rows_of(payments), engine=ENGINE, **window)
    found = pl.read_parquet(out)
    assert tuple(found.columns) == ("transaction_id", *ENGINE.names)
    assert found["transaction_id"].to_list() == ids
    assert printed(found.drop("transaction_id").iter_rows()) == printed(vectors)
    unlabelled = [msgspec.structs.replace(row, is_fraud=None) for row in rows_of(payments)]
    assert printed(naive_vectors(unlabelled, engine=ENGINE, **window)[1]) != printed(vectors)


@pytest.mark.parametrize(
    "options",
    [
        {"partitions": 1},
        {"partitions": 7},
        {"batch_rows": 1},
        {"batch_rows": 97, "partitions": 4},
        {"events_max": 40, "partitions": 2},
        {"events_max": 1},
        {"block_rows": 33},
        {"batch_rows": 10_000, "events_max": 100, "block_rows": 1},
    ],
    ids=str,
)
def test_how_the_work_is_cut_changes_no_byte(payments: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """Partitions, batches, blocks and keys that are too large for memory: always the same file."""
    whole = computed(payments, tmp_path / "whole.parquet")
    assert computed(payments, tmp_path / "cut.parquet", **options) == whole


def test_slices_of_time_change_no_byte(payments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is the same when it is made a few payments at a time."""
    whole = computed(payments, tmp_path / "whole.parquet")
    monkeypatch.setattr(order, "_SAMPLE_EVERY", 3)
    monkeypatch.setattr(partition, "_SAMPLE_EVERY", 1)
    slices = {**(order.put_in_order.__kwdefaults__ or {}), "slice_rows": 20}
    monkeypatch.setattr(order.put_in_order, "__kwdefaults__", slices)
    assert computed(payments, tmp_path / "cut.parquet", events_max=50) == whole


def test_several_processes_change_no_byte(payments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in other processes gives the same file."""
    whole = computed(payments, tmp_path / "whole.parquet")
    monkeypatch.setattr(pipeline, "PROCESSES_ROWS_MIN", 1)
    assert computed(payments, tmp_path / "shared.parquet", Running(workers=2), partitions=3) == whole


class Stopping:
    """Stops the work when it has finished a number of pieces."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pieces, self.limit = 0, 0
        finished = Path.rename

        def rename(path: Path, target: Path) -> Path:
            if self.pieces == self.limit:
                raise KeyboardInterrupt
            self.pieces += 1
            return finished(path, target)

        monkeypatch.setattr(Path, "rename", rename)


def test_work_that_is_stopped_goes_on_where_it_was(
    payments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between any two of its pieces and started again, it does none twice and ends with the same bytes."""
    whole = computed(payments, tmp_path / "whole.parquet")
    out, lines = tmp_path / "features.parquet", list[str]()
    stopping = Stopping(monkeypatch)
    options, running = Options(partitions=2, batch_rows=300, **WINDOW), Running(say=lines.append)
    while not out.exists():
        stopping.limit = stopping.pieces + 1
        try:
            feature_file(columns_of(payments), engine=ENGINE, out=out, options=options, running=running)
        except KeyboardInterrupt:
            assert lines[-1].startswith("stopped; the same command goes on")
    # 3 batches, the order, payments themselves for each batch, 4 entities in 2 partitions (devices only in one).
    assert stopping.pieces == 3 + 1 + 3 + 4 * 2 - 1
    assert sum(line.startswith("going on with what is finished") for line in lines) == stopping.pieces - 1
    assert out.read_bytes() == whole
    assert not out.with_name("features.parquet.work").exists()


def test_another_file_or_other_options_start_anew(payments: Path, tmp_path: Path) -> None:
    """What was finished for another input is not taken, and that is said."""
    out = tmp_path / "features.parquet"
    with pytest.raises(FileExistsError), work_folder(out, {"file": 1}) as folder:
        folder.mkdir()
    assert len([path for path in (tmp_path / "features.parquet.work").iterdir() if path.is_dir()]) == 1
    lines = list[str]()
    with work_folder(out, {"file": 2}, say=lines.append) as folder:
        assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]
    assert [line.partition(": ")[2] for line in lines] == ["starting anew"]
    assert columns_of(payments).identity() == columns_of(payments).identity()
    before = columns_of(payments).identity()
    write_payments(payments, seed=4)
    assert columns_of(payments).identity() != before


def test_two_commands_do_not_work_in_one_folder(tmp_path: Path) -> None:
    """The second is told so."""
    out = tmp_path / "features.parquet"
    with work_folder(out, {}), pytest.raises(InvalidInput, match="another command"), work_folder(out, {}):
        pass


def test_a_window_without_payments_is_one_clear_line(payments: Path, tmp_path: Path) -> None:
    """Nothing is written, and nothing stays."""
    out = tmp_path / "features.parquet"
    windows: list[dict[str, Any]] = [{"from_ms": START_MS + 900 * DAY_MS}, {"until_ms": START_MS - DAY_MS}]
    for window in windows:
        with pytest.raises(InvalidInput, match="no payment lies between"):
            feature_file(columns_of(payments), engine=ENGINE, out=out, options=Options(**window))
        assert list(tmp_path.glob("features*")) == []


def test_a_sample_holds_the_window(payments: Path) -> None:
    """Features, ids, times, amounts, accounts and the labels known by then, from a file as from rows in memory."""
    known_by_ms = WINDOW["until_ms"]
    sample = replay_sample(columns_of(payments), engine=ENGINE, known_by_ms=known_by_ms, **WINDOW)
    again = replay_sample(iter(rows_of(payments)), engine=ENGINE, known_by_ms=known_by_ms, **WINDOW)
    rows = [row for row in rows_of(payments) if WINDOW["from_ms"] <= row.transaction.timestamp_ms < known_by_ms]
    for found in (sample, again):
        ids, vectors = naive_vectors(rows_of(payments), engine=ENGINE, **WINDOW)
        assert found.transaction_ids == ids
        assert printed(found.matrix.tolist()) == printed(vectors)
        assert found.times_ms.tolist() == [row.transaction.timestamp_ms for row in rows]
        assert found.amounts_minor.tolist() == [row.transaction.amount.minor for row in rows]
        assert found.frauds.tolist() == [
            int(bool(row.is_fraud) and (row.label_available_ms or 0) <= known_by_ms) for row in rows
        ]
        names = dict(zip(found.accounts.tolist(), [row.transaction.user_id for row in rows], strict=True))
        assert [names[number] for number in found.accounts.tolist()] == [row.transaction.user_id for row in rows]


def ends_the_process(_: int) -> int:
    """Die as a process does for which there is no memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def fails(_: int) -> int:
    """Fail as a full disk does."""
    raise OSError(28, "No space left on device")


def test_a_process_that_dies_or_fails_ends_the_work_with_a_line() -> None:
    """Nobody waits for ever."""
    with pytest.raises(OperatingError, match="ended, perhaps for want of memory"):
        list(in_processes(ends_the_process, [1, 2, 3], workers=2))
    with pytest.raises(OperatingError, match="No space left"):
        list(in_processes(fails, [1, 2, 3], workers=2))
    assert sorted(in_processes(abs, [-1, -2, 3], workers=2)) == [1, 2, 3]


def command(payments: Path, out: Path) -> list[str]:
    """Return the command that computes features of a file."""
    data_dir = str(payments.parent / "data")
    options = ["--data", str(payments), "--format", "cardwatch", "--out", str(out), "--data-dir", data_dir]
    return [sys.executable, "-m", "cardwatch", "features", *options, "--workers", "1"]


def killed_after(seconds: float, arguments: list[str]) -> bool:
    """Run a command and kill it after some time; returns whether it was still running."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    running = process.poll() is None
    process.kill()
    process.wait()
    return running


def moments() -> Iterator[float]:
    """Seconds after which a command is killed."""
    yield from (1.5, 2.0, 2.5, 3.0, 4.0)


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on_when_it_is_given_again(tmp_path: Path) -> None:
    """Killed at some moments, the command then ends with the bytes of one that was not."""
    payments = write_payments(tmp_path / "payments.parquet", rows=15_000)
    whole, out = tmp_path / "whole.parquet", tmp_path / "features.parquet"
    subprocess.run(command(payments, whole), check=True, capture_output=True)
    assert sum(killed_after(seconds, command(payments, out)) for seconds in moments())
    subprocess.run(command(payments, out), check=True, capture_output=True)
    assert out.read_bytes() == whole.read_bytes()
    assert not out.with_name("features.parquet.work").exists()
    assert work.file_identity(payments)["bytes"] == payments.stat().st_size


@pytest.mark.slow
@pytest.mark.data
def test_real_payments_have_the_features_of_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kaggle's sample, compiled where numba is installed, in two processes: every bit is that of the interpreter."""
    path = DATA / "fraudTrain_sample.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {DATA} (CARDWATCH_BENCH_DATA)")
    for name in ("COMPILED_ROWS_MIN", "PROCESSES_ROWS_MIN"):
        monkeypatch.setattr(pipeline, name, 1)
    out = tmp_path / "features.parquet"
    running = Running(workers=2, compiled=tmp_path / "compiled")
    columns = PaymentColumns(path, FORMATS["sparkov"], tokens=TOKENS)
    feature_file(columns, engine=ENGINE, out=out, options=Options(partitions=5), running=running)
    rows = [row for row in Dataset(path, FORMATS["sparkov"], tokens=TOKENS) if isinstance(row, HistoryRow)]
    ids, vectors = naive_vectors(rows, engine=ENGINE)
    found = pl.read_parquet(out)
    assert found["transaction_id"].to_list() == ids
    assert printed(found.drop("transaction_id").iter_rows()) == printed(vectors)
