"""What features of a whole file cost: CPU seconds of each step, rows per CPU second, and the largest memory.

    .venv/bin/python bench/replay.py [--data FILE --format handbook] [--rows N] [--workers 1]

Steps are measured in this one process, so that nothing is counted twice; then the whole is run once more as
`cardwatch features` runs it, with `--workers` processes, for its time by the clock. Compiling the programs is done
before, and its time shown apart.
"""

import argparse
import resource
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from bench.machine import machine
from bench.real_data_run import data_folder

from cardwatch.features.compiled import kernels
from cardwatch.features.encode import FIELDS
from cardwatch.features.engine import default_engine
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.dataset_formats import FORMATS
from cardwatch.learning.datasets import Tokens
from cardwatch.learning.feature_file import feature_file
from cardwatch.learning.frames import Keys
from cardwatch.learning.offline import events, order, pipeline
from cardwatch.learning.offline.pipeline import Options
from cardwatch.learning.running import Running

TOKENS = Tokens(b"sixteen bytes ok")


class Spent:
    """CPU seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def on(self, step: str) -> Iterator[None]:
        """Count what is spent inside as a step's."""
        begun = time.process_time()
        yield
        self.seconds[step] += time.process_time() - begun

    def table(self, rows: int) -> str:
        """Return one line for each step, and the sum."""
        steps = {**self.seconds, "all": sum(self.seconds.values())}
        lines = [f"{step:24}{seconds:9.2f}{rows / seconds:14,.0f}" for step, seconds in steps.items() if seconds]
        return "\n".join([f"{'step':24}{'CPU s':>9}{'rows/CPU s':>14}", *lines])


def measured(columns: PaymentColumns, folder: Path, compiled: Path) -> tuple[Spent, int]:
    """Run every step in this process; returns what each cost and the number of payments."""
    engine, spent = default_engine(), Spent()
    options, running = Options(rows=len(columns)), Running(workers=1, compiled=compiled)
    with spent.on("compiling, once a machine"):
        programs = kernels(engine, folder=compiled)
        for kernel in programs.values():
            nothing = np.zeros((1, len(FIELDS)), dtype=np.int64)
            one, two = np.zeros(1, dtype=np.int64), np.array([0, 1])
            kernel.run(nothing, one, two, np.zeros(kernel.state_size, dtype=np.int64), np.zeros((1, kernel.width)))
    with spent.on("reading alone"):
        for _ in columns.batches(Keys()):
            pass
    compiling, reading = spent.seconds.pop("compiling, once a machine"), spent.seconds.pop("reading alone")
    whole = Spent()
    replayed = _stepwise(columns, folder, options, running, whole)
    with whole.on("joining and writing"):
        _write(replayed, folder / "features.parquet")
    whole.seconds["reading"] = reading
    whole.seconds["splitting"] -= reading
    print(f"compiling: {compiling:.1f} CPU s, once for a version of the features")
    return whole, len(replayed)


def _stepwise(
    columns: PaymentColumns, folder: Path, options: Options, running: Running, spent: Spent
) -> pipeline.Replayed:
    """Run the pipeline with its steps timed."""

    def timed(name: str, function: Callable[..., object], label: Callable[..., str]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            with spent.on(label(*given)):
                return function(*given, **named)

        setattr(pipeline, name, call)
        return function

    originals = {
        "split_into_events": timed("split_into_events", events.split_into_events, lambda *_: "splitting"),
        "put_in_order": timed("put_in_order", order.put_in_order, lambda *_: "order"),
        "replay_with": timed("replay_with", pipeline.replay_with, lambda task, *_: f"replay, {task.partition.entity}"),
    }
    try:
        return pipeline.replay_columns(columns, folder, engine=default_engine(), options=options, running=running)
    finally:
        for name, function in originals.items():
            setattr(pipeline, name, function)


def _write(found: pipeline.Replayed, out: Path) -> None:
    from cardwatch.learning.feature_file import _frames
    from cardwatch.learning.tables import stream_parquet

    stream_parquet(out, found.names, _frames(found, lambda _: None))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder() / "handbook.parquet")
    parser.add_argument("--format", default="handbook")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="where to put the files")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"{options.data} is not there; set CARDWATCH_BENCH_DATA: nothing was measured")
        return
    scratch = Path(tempfile.mkdtemp(prefix="cardwatch-replay-", dir=options.folder))
    try:
        columns = PaymentColumns(options.data, FORMATS[options.format], tokens=TOKENS)
        print(machine(), flush=True)
        (scratch / "steps").mkdir()
        spent, rows = measured(columns, scratch / "steps", scratch / "compiled")
        print(f"{rows:,} payments, {len(default_engine().names)} features\n{spent.table(rows)}", flush=True)
        begun = time.perf_counter()
        chosen = Running(workers=options.workers, compiled=scratch / "compiled")
        feature_file(
            columns, engine=default_engine(), out=scratch / "features.parquet", options=Options(), running=chosen
        )
        seconds = time.perf_counter() - begun
        print(f"as the command runs it, {chosen.worker_count()} processes: {seconds:.1f} s by the clock")
        used = [resource.getrusage(who).ru_maxrss / 1e3 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        print(f"largest memory of a process: {max(used):,.0f} MB")
    finally:
        shutil.rmtree(scratch)
