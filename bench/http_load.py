"""The load on a real server: what is offered, what is measured, and that everything acknowledged was stored.

wrk is a closed loop: each connection sends its next payment when it has the answer to the last, so its quantiles are
those of a busy server. The fixed rate is an open loop (`open_loop.py`) whose times run from when a payment was due.
"""

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from bench.machine import machine
from bench.population import bodies, write_population
from bench.server_process import ServerProcess, clean_environment
from bench.stored import examine

HERE = Path(__file__).resolve().parent
TRIVIAL_ROUTE = "/bench/validate"
RATE_SECONDS_MIN = 20.0
"""A fixed rate has few payments; its p99.9 needs this long."""

_LINES_PER_S = 3_500
"""More payments than any run sends in a second, so that none is sent twice."""


class Run(msgspec.Struct, kw_only=True):
    """What one run gave; times in microseconds."""

    created: int
    duration_us: int
    p50_us: int
    p99_us: int
    p999_us: int
    max_us: int
    others: dict[str, int]
    socket_errors: int
    late: dict[str, int] = {}
    """By how much the sender itself was late; the open loop's alone."""
    connections: int = 0
    cpu_us: float = 0.0
    """CPU time of the server per payment."""
    resident_mb: float = 0.0

    @property
    def rate(self) -> float:
        """Payments answered with 201 per second."""
        return self.created / (self.duration_us / 1e6)

    @property
    def clean(self) -> bool:
        """Whether everything was answered with 201."""
        return not self.others and not self.socket_errors and self.created > 0


class Bench:
    """A server under load with the payments that are sent to it."""

    def __init__(self, server: ServerProcess, scratch: Path) -> None:
        self.acknowledged: list[str] = []
        self._server = server
        self._scratch = scratch
        self._used: dict[Path, int] = {}

    def closed_loop(self, lines: Path, *, connections: int, seconds: float, route: str = "/transaction") -> Run:
        """Run wrk on as many connections."""
        first, count = self._take(lines, int(seconds * _LINES_PER_S))
        ids = self._scratch / "ids"
        command = [
            "wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds:.0f}s",
            "--timeout", "10s", "--script", str(HERE / "payments.lua"), f"http://127.0.0.1:{self._server.port}{route}",
            "--", str(lines), str(first), str(count), str(ids),
        ]  # fmt: skip
        return self._measured(command, ids, connections=connections)

    def open_loop(self, lines: Path, *, rate: float, seconds: float) -> Run:
        """Offer payments at a rate."""
        first, _ = self._take(lines, int(seconds * rate) + 1)
        ids = self._scratch / "ids"
        command = [
            sys.executable, str(HERE / "open_loop.py"), "--port", str(self._server.port), "--bodies", str(lines),
            "--first", str(first), "--rate", str(rate), "--seconds", str(seconds), "--ids", str(ids),
        ]  # fmt: skip
        return self._measured(command, ids)

    def _take(self, lines: Path, count: int) -> tuple[int, int]:
        first = self._used.get(lines, 0)
        self._used[lines] = first + count
        return first, count

    def _measured(self, command: Sequence[str], ids: Path, *, connections: int = 0) -> Run:
        before_s = self._server.cpu_s()
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {done.stderr[-500:]}")
        run = msgspec.json.decode(done.stdout.splitlines()[-1], type=Run)
        run.connections = connections or json.loads(done.stdout.splitlines()[-1]).get("connections", 0)
        run.cpu_us = (self._server.cpu_s() - before_s) / max(1, run.created) * 1e6
        run.resident_mb = self._server.resident_mb()
        self.acknowledged += ids.read_text(encoding="ascii").split()
        return run


HEADER = (
    f"{'what':<34}{'conn':>5}{'201/s':>8}{'p50 ms':>8}{'p99 ms':>8}{'p99.9 ms':>9}{'max ms':>8}"
    f"{'CPU us':>8}{'RSS MB':>8}  not 201"
)


def row(what: str, run: Run) -> str:
    """Return a run as a row of the table."""
    times = f"{run.p50_us / 1000:8.1f}{run.p99_us / 1000:8.1f}{run.p999_us / 1000:9.1f}{run.max_us / 1000:8.1f}"
    wrong = ", ".join([f"{status}: {count}" for status, count in run.others.items()]) or "none"
    if run.socket_errors:
        wrong += f", {run.socket_errors} socket errors"
    return f"{what:<34}{run.connections:>5}{run.rate:8,.0f}{times}{run.cpu_us:8.0f}{run.resident_mb:8.0f}  {wrong}"


def write_lines(path: Path, source: Iterator[bytes], count: int) -> Path:
    """Write bodies, one per line."""
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in itertools.islice(source, count))
    return path


def measure_payments(bench: Bench, files: dict[str, Path], options: argparse.Namespace) -> dict[tuple[str, int], Run]:
    """Measure `POST /transaction` in every way, printing as it goes."""
    runs: dict[tuple[str, int], Run] = {}
    for kind, lines in files.items():
        for connections in options.connections:
            run = bench.closed_loop(lines, connections=connections, seconds=options.seconds)
            runs[kind, connections] = run
            print(row(f"POST /transaction, {kind}", run), flush=True)
    seconds = options.seconds if options.quick else max(options.seconds, RATE_SECONDS_MIN)
    run = bench.open_loop(files["history"], rate=options.rate, seconds=seconds)
    runs["rate", 0] = run
    print(row(f"POST /transaction, {options.rate:.0f}/s offered", run))
    print(f"{'':39}(the sender itself was late by {run.late['p99_us'] / 1000:.2f} ms at p99)")
    return runs


def measure_trivial(scratch: Path, lines: Path, options: argparse.Namespace) -> dict[int, Run]:
    """Measure the endpoint that checks a body and stores nothing, on a server of its own with an empty store."""
    runs = {}
    command = ("-m", "bench.trivial_server")
    with ServerProcess(scratch / "trivial", log=scratch / "trivial.log", command=command) as server:
        bench = Bench(server, scratch)
        for connections in options.connections:
            run = bench.closed_loop(lines, connections=connections, seconds=options.seconds / 2, route=TRIVIAL_ROUTE)
            runs[connections] = run
            print(row(f"POST {TRIVIAL_ROUTE}", run), flush=True)
    return runs


def measure(scratch: Path, options: argparse.Namespace) -> bool:
    """Measure everything and print it; returns whether all was answered with 201, stored and decided once."""
    data = scratch / "data"
    population = write_population(data, accounts=options.accounts, days=options.days)
    print(
        f"{len(population.user_ids):,} accounts with {population.history_rows:,} past payments\n\n{HEADER}", flush=True
    )
    per_kind = int(len(options.connections) * options.seconds * _LINES_PER_S + options.rate * RATE_SECONDS_MIN * 2)
    files = {
        kind: write_lines(scratch / kind, bodies(population, seed=seed, cold=kind == "cold"), per_kind)
        for seed, kind in enumerate(("history", "cold"))
    }
    with ServerProcess(data, log=scratch / "server.log") as server:
        bench = Bench(server, scratch)
        runs = measure_payments(bench, files, options)
        ready_s, peak_mb = server.start_s, server.resident_mb(peak=True)
    trivial = measure_trivial(scratch, files["history"], options)
    for connections, run in trivial.items():
        share = runs["history", connections].rate / run.rate
        print(f"{share:.0%} of the trivial endpoint's rate at {connections} connections")
    print(f"server: ready after {ready_s:.2f} s, at most {peak_mb:.0f} MB resident")
    verdict = examine(data / "cardwatch.db", bench.acknowledged)
    print(f"store:  {verdict}")
    clean = all(run.clean for run in (*runs.values(), *trivial.values()))
    if not clean:
        print("FAILED: something was not answered with 201")
    if not verdict.sound:
        print("FAILED: what was acknowledged is not all stored and decided exactly once")
    return clean and verdict.sound


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each run")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--rate", type=float, default=266.0, help="payments per second offered in the open loop")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=10, help="length of each account's history")
    parser.add_argument("--folder", type=Path, default=None, help="where to put the files; on the disk to be measured")
    parser.add_argument("--quick", action="store_true", help="short runs, 1,000 accounts: to see that it works")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.accounts = 2.0, 1_000
    return options


def main() -> int:
    """Run from the command line; returns the exit code."""
    options = read_options()
    if shutil.which("wrk") is None:
        print("wrk is not installed (apt install wrk): nothing was measured")
        return 0
    print(machine())
    scratch = Path(tempfile.mkdtemp(prefix="cardwatch-bench-", dir=options.folder))
    try:
        return 0 if measure(scratch, options) else 1
    finally:
        shutil.rmtree(scratch)
