"""The generated programs as machine code, compiled by numba: bit for bit what the interpreter computes.

Compiling takes half a minute, so its result is kept in a folder, under a name that is a hash of everything that went
into it. Needs the extra "compiled"; where numba is missing, `kernels` interprets the same source.
"""

import hashlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from cardwatch.features.aggregations import expected_distinct
from cardwatch.features.engine import FeatureEngine
from cardwatch.features.generate import Program, generate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]

_COMPILED_OPENING = """\
from math import nan, sqrt

from numba import njit

DISTINCT = {distinct}

"""

LOOPS = """\
def move(s, to, end, source):
    if to < source:
        i = 0
        while to + i < end:
            s[to + i] = s[source + i]
            i += 1
    else:
        i = end - to - 1
        while i >= 0:
            s[to + i] = s[source + i]
            i -= 1

def holds(s, start, end, value):
    while start < end:
        if s[start] == value:
            return True
        start += 1
    return False

"""
"""What stands where programs have slices."""

_SLICE_SET = re.compile(r"s\[([^\]:]+):([^\]:]+)\] = s\[([^\]:]+):[^\]]+\]$", re.MULTILINE)
_SLICE_HOLDS = re.compile(r"(\w+) in s\[([^\]:]+):([^\]]+)\]")

_COMPILED_REPLAY = """\

@njit(cache=True)
def replay(events, changes, starts, state, out):
    for group in range(len(starts) - 1):
        if group:
            state[:] = 0
        for at in range(starts[group], starts[group + 1]):
            if changes[at] == 0:
                read(state, events[at], out[at])
                update(state, events[at])
            else:
                relabel(state, events[at], changes[at])
"""


@dataclass(frozen=True)
class Kernel:
    """One entity's program over columns of events, for replay."""

    entity: str
    columns: slice
    """Where the entity's features stand in the vector."""
    state_size: int
    labelled: bool
    """Whether labels change the entity's state."""
    _replay: "Callable[[Integers, Integers, Integers, Integers, Floats], None]"

    @property
    def width(self) -> int:
        """How many features the entity has."""
        return int(self.columns.stop - self.columns.start)

    def run(
        self, events: "Integers", changes: "Integers", starts: "Integers", state: "Integers", out: "Floats"
    ) -> None:
        """Run events, sorted by key and order: int64 (n, len(encode.FIELDS)).

        `changes` (n) is 0 for a payment, whose features are written to its row of `out` (n, width) before its effect;
        1 or -1 says that the payment in that row is now known as fraud, or no longer. `starts` holds where each key's
        events begin, and the end. The first key goes on from `state` (zeros: no history); afterwards that is the state
        of the last key, so that a key may be run in pieces.
        """
        self._replay(events, changes, starts, state, out)


def numba_installed() -> bool:
    """Whether programs can be compiled."""
    return importlib.util.find_spec("numba") is not None


def kernels(engine: FeatureEngine, *, folder: Path | None) -> dict[str, Kernel]:
    """Return a kernel for each entity, "payment" among them (all its events are one key, and it has no state).

    They are compiled, and kept in `folder` (this user's alone: what lies there is run), unless numba is missing or no
    folder is given.
    """
    kept = folder if numba_installed() else None
    return {entity: _kernel(engine, entity, kept) for entity in engine.programs}


def _kernel(engine: FeatureEngine, entity: str, folder: Path | None) -> Kernel:
    program = engine.programs[entity]
    relative = _relative(engine, entity)
    return Kernel(
        entity=entity,
        columns=slice(program.first, program.first + len(program.names)),
        state_size=program.plan.size(),
        labelled=program.labelled,
        _replay=_interpreted(relative) if folder is None else _compiled_module(relative, folder).replay,
    )


def _relative(engine: FeatureEngine, entity: str) -> Program:
    """Generate an entity's program anew so that it writes into rows of its own features alone."""
    rows = [feature for feature in engine.features if feature.entity == entity]
    return generate(entity, rows, first=0, label_delay_s=engine.label_delay_s)


def _interpreted(program: Program) -> "Callable[[Integers, Integers, Integers, Integers, Floats], None]":
    """Run a program on lists, a key at a time."""

    def replay(events: "Integers", changes: "Integers", starts: "Integers", state: "Integers", out: "Floats") -> None:
        plain = state.tolist()
        for group in range(len(starts) - 1):
            if group:
                plain = [0] * len(plain)
            for at in range(starts[group], starts[group + 1]):
                event = tuple(events[at].tolist())
                if changes[at]:
                    program.relabel(plain, event, int(changes[at]))
                    continue
                row = out[at].tolist()
                program.read(plain, event, row)
                out[at] = row
                program.update(plain, event)
        state[:] = plain

    return replay


def as_loops(source: str) -> str:
    """Return a program with calls of `LOOPS` instead of slices, whose compiling takes most of the time."""
    return _SLICE_HOLDS.sub(r"holds(s, \2, \3, \1)", _SLICE_SET.sub(r"move(s, \1, \2, \3)", source))


def _compiled_module(program: Program, folder: Path) -> ModuleType:
    """Return the module of a program, whose functions are compiled on first use and then kept on disk."""
    decorated = (LOOPS + as_loops(program.source)).replace("def ", "@njit\ndef ")
    return _module(
        program.plan.entity,
        _COMPILED_OPENING.format(distinct=expected_distinct()) + decorated + _COMPILED_REPLAY,
        folder,
    )


@cache
def _module(entity: str, text: str, folder: Path) -> ModuleType:
    """Import a text as a module by way of a file, where numba keeps what it compiled beside it."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = f"cardwatch_features_{entity}_{digest}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text() != text:
        _write(path, text)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Numba names the module when it loads what it kept.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _write(path: Path, text: str) -> None:
    """Write a file in one step: another process may be importing it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".py.new")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(temporary).replace(path)
