"""The run of `bench/parity.py`: both orders, all ways, one table."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from bench.machine import machine
from bench.parity_population import Population, Step, steps
from bench.parity_server import ENVIRONMENT, Load, read_served
from bench.parity_ways import (
    Blobs,
    Columns,
    Interpreted,
    ThroughBytes,
    compile_now,
    differing_bits,
    differing_states,
    final_states,
    named_features,
    new_vectors,
    run_kernels,
    run_offline,
)
from bench.server_process import ServerProcess
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cardwatch.features import machine_code
from cardwatch.features.compiled import kernels, numba_installed
from cardwatch.features.compiled_engine import CompiledEngine
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.runtime.bootstrap import open_gazetteer

Vectors = NDArray[np.float64]
Begin = Callable[[str, int], Callable[[int], object]]
"""Says that a step of so many pieces begins; returns who hears how many more are done."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table: a way in an order, against the way that the order came from."""

    order: str
    way: str
    steps: int
    compared: int
    bits: int = 0
    states: int = 0
    wrong_states: int = 0
    seconds: float
    note: str = ""

    @property
    def sound(self) -> bool:
        """Whether nothing differs."""
        return not (self.bits or self.wrong_states)

    def __str__(self) -> str:
        rate = f"{self.steps / self.seconds:10,.0f}" if self.seconds else f"{'':10}"
        return (
            f"{self.order:<12}{self.way:<14}{self.steps:>10,}{self.compared:>11,}{self.bits:>15,}"
            f"{self.states:>10,}{self.wrong_states:>10,}{self.seconds:>9.1f}{rate}  {self.note}"
        ).rstrip()


HEADER = (
    f"{'order':<12}{'way':<14}{'steps':>10}{'vectors':>11}{'differing bits':>15}"
    f"{'states':>10}{'differing':>10}{'s':>9}{'steps/s':>10}"
)


@dataclass(frozen=True)
class Reference:
    """What the other ways are compared with."""

    vectors: Vectors
    states: Blobs


class Run:
    """All ways in one order of application."""

    def __init__(self, order: str, engine: FeatureEngine, scratch: Path, begin: Begin, compiled: Path) -> None:
        self.rows: list[Row] = []
        self._order, self._engine, self._scratch, self._begin, self._compiled = order, engine, scratch, begin, compiled

    def all_ways(
        self,
        applied: Callable[[], Iterable[Step]],
        *,
        size: int,
        payments: int,
        seed: int,
        reference: Reference | None,
    ) -> None:
        """Run interpreted, as machine code, compiled and offline; compare with the reference, else the interpreted."""
        columns = Columns.of_size(size, self._engine)
        interpreted = Interpreted(self._engine, seed)
        vectors = self._vectors("interpreted", payments)
        began = time.perf_counter()
        interpreted.run(applied(), columns, vectors, advance=self._begin(f"{self._order}: interpreted", payments))
        seconds = time.perf_counter() - began
        self._size = columns.size
        states = interpreted.blobs()
        self._say("interpreted", vectors, states, seconds, reference, note=f"{interpreted.crashes:,} crashes")
        reference = reference or Reference(vectors, states)
        if numba_installed():
            self._run_machine_code(applied(), payments, seed, reference)
            self._run_compiled(columns, payments, reference)
        else:
            print(f"{self._order:<12}compiled ways are not run: numba is not installed", flush=True)
        self._run_offline(columns, payments, reference)

    def _vectors(self, way: str, payments: int) -> Vectors:
        return new_vectors(self._scratch / f"{self._order}-{way}.npy", payments, self._engine)

    def _run_machine_code(self, applied: Iterable[Step], payments: int, seed: int, reference: Reference) -> None:
        engine = CompiledEngine(label_delay_s=self._engine.label_delay_s)
        engine.go_over(machine_code.load(machine_code_file(self._engine, self._compiled)))
        through = ThroughBytes(engine, seed)
        vectors = self._vectors("machine-code", payments)
        began = time.perf_counter()
        through.run(applied, vectors, advance=self._begin(f"{self._order}: machine code", payments))
        seconds = time.perf_counter() - began
        note = f"{through.crashes:,} crashes, every state through its bytes"
        self._say("machine code", vectors, through.blobs, seconds, reference, note=note)

    def _run_compiled(self, columns: Columns, payments: int, reference: Reference) -> None:
        programs = kernels(self._engine, folder=self._compiled)
        vectors = self._vectors("compiled", payments)
        compile_now(programs)
        began = time.perf_counter()
        advance = self._begin(f"{self._order}: compiled", columns.size * len(programs))
        run_kernels(programs, columns, vectors, advance=advance)
        seconds = time.perf_counter() - began
        self._say("compiled", vectors, final_states(programs, columns, self._engine), seconds, reference)

    def _run_offline(self, columns: Columns, payments: int, reference: Reference) -> None:
        vectors = self._vectors("offline", payments)
        began = time.perf_counter()
        advance = self._begin(f"{self._order}: offline", payments)
        run_offline(self._engine, columns, vectors, compiled=self._compiled, advance=advance)
        seconds = time.perf_counter() - began
        chosen = ~columns.island[columns.changes == 0]
        self._say("offline", vectors, None, seconds, reference, chosen=chosen, note="without labels taken back")

    def _say(
        self,
        way: str,
        vectors: Vectors,
        states: Blobs | None,
        seconds: float,
        reference: Reference | None,
        *,
        chosen: NDArray[np.bool_] | None = None,
        note: str = "",
    ) -> None:
        """Compare a way, and print its line."""
        found = Row(
            order=self._order,
            way=way,
            steps=self._size,
            compared=0 if reference is None else int(len(vectors) if chosen is None else chosen.sum()),
            bits=0 if reference is None else differing_bits(vectors, reference.vectors, chosen),
            states=0 if states is None or reference is None else len(states.keys() | reference.states.keys()),
            wrong_states=0 if states is None or reference is None else differing_states(states, reference.states),
            seconds=seconds,
            note=note if reference else f"{note}; the others are compared with it",
        )
        self.rows.append(found)
        print(found, flush=True)
        if reference is not None and found.bits:
            part = slice(None) if chosen is None else chosen
            names = named_features(vectors[part], reference.vectors[part], self._engine.names)
            print(f"  they differ in {', '.join(names)}")


def machine_code_file(engine: FeatureEngine, folder: Path) -> Path:
    """Return the file of an engine's machine code, made if it is not there."""
    path = folder / machine_code.file_name(engine)
    return path if path.exists() else machine_code.make(engine, folder)


def in_process(
    options: argparse.Namespace, engine: FeatureEngine, scratch: Path, begin: Begin, compiled: Path
) -> list[Row]:
    """Run all ways in the order in which payments arrive."""
    population = Population(options.payments, options.seed)
    run = Run("arrival", engine, scratch, begin, compiled)
    gazetteer = open_gazetteer()
    size = len(population.arrivals)
    run.all_ways(
        lambda: steps(population, gazetteer), size=size, payments=population.size, seed=options.seed, reference=None
    )
    return run.rows


def served(
    options: argparse.Namespace, engine: FeatureEngine, scratch: Path, begin: Begin, compiled: Path
) -> list[Row]:
    """Load a server, then run all ways in the order in which it applied what it was sent."""
    population = Population(options.http, options.seed + 1)
    server = ServerProcess(scratch / "data", log=scratch / "server.log", environment=ENVIRONMENT)
    load = Load(
        server,
        population,
        connections=options.connections,
        kills=options.kills,
        seed=options.seed,
        advance=begin("over HTTP", len(population.arrivals)),
        before_start=partial(_give_machine_code, engine, compiled, scratch / "data", options.kills // 2),
    )
    began = time.perf_counter()
    try:
        load.run()
    finally:
        server.stop()
    seconds = time.perf_counter() - began
    found = read_served(scratch / "data" / "cardwatch.db", engine)
    found.wrong["missing"] += population.size - len(found.events)
    vectors = new_vectors(scratch / "http.npy", len(found.decisions), engine)
    found.write_vectors(vectors)
    size = sum(1 for _ in found.steps())
    note = f"{load.kills} times kill -9, {_starts(server.log)}, {load.sent_again:,} payments sent again"
    wrong = sum(found.wrong.values())
    rows = [Row(order="served", way="over HTTP", steps=size, compared=0, bits=wrong, seconds=seconds, note=note)]
    print(rows[0], flush=True)
    for what, count in found.wrong.items():
        if count:
            print(f"  {count:,} payments {what}")
    run = Run("served", engine, scratch, begin, compiled)
    reference = Reference(vectors, found.states)
    run.all_ways(found.steps, size=size, payments=len(vectors), seed=options.seed, reference=reference)
    return [*rows, *run.rows]


def _give_machine_code(engine: FeatureEngine, compiled: Path, data_dir: Path, from_kill: int, kills: int) -> None:
    """Let a server find machine code from some kill on; before it interprets, over the same file."""
    folder = data_dir / "compiled"
    if kills < from_kill or folder.exists() or not numba_installed():
        return
    folder.mkdir(mode=0o700, parents=True)
    shutil.copy(machine_code_file(engine, compiled), folder)


def _starts(log: Path) -> str:
    """Say how many starts of a server served from machine code, by what it logged."""
    lines = log.read_bytes().splitlines()
    events = [msgspec.json.decode(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    said = [event["run"] for event in events if event.get("event") == "features"]
    return f"{said.count('compiled')} of {len(said)} starts with machine code"


@contextmanager
def progress() -> Iterator[Begin]:
    """Show a bar for each step on standard error."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def begin(text: str, total: int) -> Callable[[int], object]:
            task = bar.add_task(text, total=total)
            return lambda amount: bar.advance(task, amount)

        yield begin


def compare(options: argparse.Namespace, scratch: Path) -> list[Row]:
    """Run everything that was asked for; returns the table."""
    engine = default_engine()
    compiled = options.compiled or scratch / "compiled"
    print(
        f"{len(engine.names)} features, definition {engine.spec_hash[:12]}, seed {options.seed}\n\n{HEADER}", flush=True
    )
    rows: list[Row] = []
    with progress() as begin:
        if options.payments:
            rows += in_process(options, engine, scratch, begin, compiled)
        if options.http:
            rows += served(options, engine, scratch, begin, compiled)
    return rows


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=1_000_000, help="in this process; 0 for none")
    parser.add_argument("--http", type=int, default=200_000, help="over HTTP, with other payments; 0 for none")
    parser.add_argument("--kills", type=int, default=12, help="of the server, at random moments of the load")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="where to put the files: 2 GB for a million payments")
    parser.add_argument("--compiled", type=Path, default=None, help="where to keep compiled programs")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; returns 1 where any bit differs."""
    options = read_options(arguments)
    print(machine())
    scratch = Path(tempfile.mkdtemp(prefix="cardwatch-parity-", dir=options.folder))
    try:
        rows = compare(options, scratch)
    finally:
        shutil.rmtree(scratch)
    sound = all(row.sound for row in rows)
    vectors = sum(row.compared for row in rows)
    print(f"\n{vectors:,} vectors compared: " + ("no bit differs" if sound else "THEY DIFFER"), file=sys.stdout)
    return 0 if sound else 1
