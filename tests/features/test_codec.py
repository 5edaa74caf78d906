"""States survive being stored: the same values and the same bytes, however often."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.errors import StoreCorrupt
from cardwatch.features.event import PaymentEvent
from tests.features.payments import ENGINE, START_S, fresh, histories, payment, run

ACCOUNT = ("account", "user_001")


def bits(vector: list[float]) -> bytes:
    """A vector as bytes, so that NaN equals NaN and -0.0 differs from 0.0."""
    return struct.pack(f"<{len(vector)}d", *vector)


@given(histories(size_max=60))
def test_stored_state_equals_state_kept_in_memory(events: list[PaymentEvent]) -> None:
    """Storing and loading between any two payments changes no bit of any vector, nor of the final state."""
    kept = fresh(events[0])
    blobs: tuple[bytes | None, ...] = (None,) * len(kept)
    for event in events:
        states = ENGINE.load(ENGINE.keys(event), blobs)
        assert bits(ENGINE.read(event, states)) == bits(ENGINE.read(event, kept))
        ENGINE.update(event, states)
        ENGINE.update(event, kept)
        blobs = ENGINE.dump(states)
    assert blobs == ENGINE.dump(kept)


@given(histories(size_max=60))
def test_loading_and_dumping_gives_the_same_bytes(events: list[PaymentEvent]) -> None:
    """A blob that was loaded and dumped is the blob."""
    blobs = ENGINE.dump(run(events)[1])
    assert ENGINE.dump(ENGINE.load(ENGINE.keys(events[0]), blobs)) == blobs


@given(st.data(), st.integers(0, 60))
def test_a_damaged_blob_is_refused_or_read_as_some_state(data: st.DataObject, size: int) -> None:
    """Cut or overwritten bytes raise StoreCorrupt or give a state of the right size, never anything else."""
    blob = ENGINE.dump(run([payment(START_S + at * 977) for at in range(size + 1)])[1])[0]
    at = data.draw(st.integers(4, len(blob) - 1))
    damaged = data.draw(st.sampled_from([blob[:at], blob[:at] + b"\xff" + blob[at + 1 :], blob + b"\x00"]))
    try:
        state = ENGINE.load((ACCOUNT,), [damaged])["account"]
    except StoreCorrupt:
        return
    assert len(state) == len(ENGINE.load((ACCOUNT,), [None])["account"])


def test_a_truncated_blob_raises_store_corrupt() -> None:
    """Half a state is no state."""
    blob = ENGINE.dump(run([payment(START_S)])[1])[0]
    with pytest.raises(StoreCorrupt):
        ENGINE.load((ACCOUNT,), [blob[: len(blob) // 2]])
