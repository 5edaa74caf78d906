"""Compiled programs compute the same bits as interpreted ones, whatever the events and however they are cut."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cardwatch.features.compiled import Kernel, kernels, numba_installed
from cardwatch.features.encode import encode
from tests.features.payments import ENGINE, histories

pytestmark = pytest.mark.skipif(not numba_installed(), reason="numba is not installed")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kernel]:
    """Kernels of every entity, compiled once for these tests."""
    return kernels(ENGINE, folder=tmp_path_factory.getbasetemp().parent / "cardwatch-compiled")


INTERPRETED = kernels(ENGINE, folder=None)

Events = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@st.composite
def runs(draw: st.DrawFn) -> Events:
    """Payments out of order, some twice, labels and their withdrawals among them, of one to three keys."""
    events = draw(histories(size_max=30))
    rows = [encode(event) for event in events]
    order = draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=50))
    changes = [draw(st.sampled_from([0, 0, 0, 1, -1])) for _ in order]
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=2)) | {0, len(order)})
    return np.array([rows[at] for at in order]), np.array(changes), np.array(cuts)


def outcome(kernel: Kernel, run: Events, state: NDArray[np.int64] | None = None) -> tuple[bytes, NDArray[np.int64]]:
    """Return the bits of all vectors and the state after the last key."""
    events, changes, starts = run
    state = np.zeros(kernel.state_size, np.int64) if state is None else state
    out = np.full((len(events), kernel.width), np.nan)
    kernel.run(events, changes, starts, state, out)
    return out.tobytes(), state


@pytest.mark.timeout(300)
@settings(deadline=None)  # the first example compiles
@given(run=runs())
def test_compiled_equals_interpreted_in_every_bit(compiled: dict[str, Kernel], run: Events) -> None:
    """Vectors and final state of each entity, under disorder, duplicates and labels."""
    for entity, kernel in compiled.items():
        (bits, state), (expected, kept) = outcome(kernel, run), outcome(INTERPRETED[entity], run)
        assert bits == expected, entity
        assert state.tolist() == kept.tolist(), entity


@pytest.mark.timeout(300)
@settings(deadline=None)
@given(data=st.data(), run=runs())
def test_a_key_may_be_run_in_pieces(compiled: dict[str, Kernel], data: st.DataObject, run: Events) -> None:
    """Going on from the state where a piece ended gives what one run gives."""
    events, changes, _ = run
    cut = data.draw(st.integers(0, len(events)))
    for kernel in compiled.values():
        whole = outcome(kernel, (events, changes, np.array([0, len(events)])))
        first, state = outcome(kernel, (events[:cut], changes[:cut], np.array([0, cut])))
        rest = (events[cut:], changes[cut:], np.array([0, len(events) - cut]))
        second, state = outcome(kernel, rest, state)
        assert (first + second, state.tolist()) == (whole[0], whole[1].tolist())


def test_a_program_that_was_tampered_with_is_written_anew(tmp_path: Path) -> None:
    """What lies in the folder is run, so it must be what was generated."""
    kernels(ENGINE, folder=tmp_path)
    before = {path: path.read_text() for path in tmp_path.glob("*.py")}
    assert len(before) == 5
    for path in before:
        path.write_text("raise SystemExit")
    kernels.__globals__["_module"].cache_clear()
    kernels(ENGINE, folder=tmp_path)
    assert {path: path.read_text() for path in tmp_path.glob("*.py")} == before
