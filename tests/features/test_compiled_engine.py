"""Machine code gives the vectors and the bytes that the interpreter gives, whenever it takes over."""

import struct
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardwatch.domain.errors import StoreCorrupt
from cardwatch.features import machine_code
from cardwatch.features.codec import Codec
from cardwatch.features.compiled import numba_installed
from cardwatch.features.compiled_engine import CompiledEngine
from cardwatch.features.engine import FeatureEngine, States
from cardwatch.features.event import PaymentEvent
from cardwatch.features.machine_code import MachineCode, MachineCodeUnusable, load, make
from cardwatch.features.packing import pack, unpack
from tests.features.payments import ENGINE, START_S, histories, payment

needs_numba = pytest.mark.skipif(not numba_installed(), reason="numba is not installed")
CODECS: dict[str, Codec] = ENGINE._codecs

Stored = dict[tuple[str, str], bytes]
Did = tuple[PaymentEvent, int]


@pytest.fixture(scope="session")
def code_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Machine code of the table, made once and kept from run to run."""
    folder = tmp_path_factory.getbasetemp().parent / "cardwatch-compiled"
    path = folder / machine_code.file_name(ENGINE)
    return path if path.exists() else make(ENGINE, folder)


@pytest.fixture(scope="session")
def code(code_file: Path) -> MachineCode:
    """The loaded functions."""
    return load(code_file)


@pytest.fixture(scope="session")
def engine(code: MachineCode) -> CompiledEngine:
    """An engine that has gone over."""
    engine = CompiledEngine()
    engine.go_over(code)
    assert engine.compiled
    return engine


@st.composite
def days(draw: st.DrawFn) -> list[Did]:
    """Payments out of order, some twice, some without account, merchant or device, and changes of their labels."""
    events = [
        msgspec.structs.replace(
            event,
            account=draw(st.sampled_from([event.account, event.account, None])),
            merchant=draw(st.sampled_from(["starbucks", "starbucks", "kiosk", None])),
            device=draw(st.sampled_from([None, "phone", "desk"])),
        )
        for event in draw(histories(size_max=30))
    ]
    order = draw(st.lists(st.integers(0, len(events) - 1), min_size=1, max_size=50))
    return [(events[at], draw(st.sampled_from([0, 0, 0, 1, -1]))) for at in order]


def lived(done: Sequence[Did], engine: FeatureEngine, *, meanwhile: Callable[[int], None] = lambda _: None) -> object:
    """Run payments and labels through stored bytes as a server does; returns the bits of all vectors, and the bytes."""
    stored: Stored = {}
    vectors = b""
    for at, (event, change) in enumerate(done):
        keys = engine.labelled_keys(event) if change else engine.keys(event)
        states = engine.load(keys, [stored.get(key) for key in keys])
        meanwhile(at)
        if change:
            engine.relabel(event, states, change)
        else:
            vector = engine.step(event, states)
            vectors += struct.pack(f"<{len(vector)}d", *vector)
        stored.update(zip(keys, engine.dump(states), strict=True))
    return vectors, stored


@needs_numba
@pytest.mark.timeout(300)
@settings(deadline=None)  # the first example may compile
@given(done=days())
def test_machine_code_equals_the_interpreter_in_every_bit_and_byte(engine: CompiledEngine, done: list[Did]) -> None:
    """Under disorder, duplicates, labels and absent entities."""
    assert lived(done, engine) == lived(done, ENGINE)


@needs_numba
@pytest.mark.timeout(300)
@settings(deadline=None)
@given(data=st.data(), done=days())
def test_going_over_in_the_middle_changes_nothing(code: MachineCode, data: st.DataObject, done: list[Did]) -> None:
    """Even between the loading of a payment's states and their use."""
    chosen = data.draw(st.integers(0, len(done) - 1))
    engine = CompiledEngine()
    assert lived(done, engine, meanwhile=lambda at: engine.go_over(code) if at == chosen else None) == lived(
        done, ENGINE
    )
    assert engine.compiled


@needs_numba
@given(done=days())
def test_reading_and_updating_apart_equal_a_step(engine: CompiledEngine, done: list[Did]) -> None:
    """Import updates without reading; reading alone changes nothing."""
    for event in {event for event, _ in done}:
        keys = engine.keys(event)
        states, expected = (by.load(keys, [None] * len(keys)) for by in (engine, ENGINE))
        for _ in range(2):
            assert bits(engine.read(event, states)) == bits(ENGINE.read(event, expected))
            engine.update(event, states)
            ENGINE.update(event, expected)
        assert engine.dump(states) == ENGINE.dump(expected)


def bits(vector: list[float]) -> bytes:
    """A vector as bytes, so that NaN equals NaN."""
    return struct.pack(f"<{len(vector)}d", *vector)


whole_numbers = st.one_of(st.integers(-200, 200), st.integers(-(2**63), 2**63 - 1))


@st.composite
def any_states(draw: st.DrawFn) -> tuple[str, list[int]]:
    """A state of any numbers whose lengths are possible, though no payments may lead to it."""
    entity = draw(st.sampled_from(sorted(CODECS)))
    plan = ENGINE.programs[entity].plan
    at, state = plan.positions(), [0] * plan.size()
    for name in plan.stored_scalars():
        state[at[name]] = draw(whole_numbers)
    for ring in plan.rings.values():
        used = state[at[f"ring_{ring.name}"]] = draw(st.integers(0, min(ring.capacity, 20)))
        tiles = sorted(draw(st.lists(st.integers(0, 2**40), min_size=used, max_size=used)))
        state[at[f"tiles_{ring.name}"] : at[f"tiles_{ring.name}"] + used] = tiles
        for column in ring.columns:
            numbers = draw(st.lists(st.integers(-(2**50), 2**50), min_size=used, max_size=used))
            place = at[f"tiles_{column}_{ring.name}"]
            state[place : place + used] = numbers
            if column in ring.totalled:
                state[at[f"total_{column}_{ring.name}"]] = sum(numbers)
    if plan.quantiles:
        lowest = state[at["lowest"]] = draw(st.integers(0, 300))
        state[at["highest"]] = draw(st.integers(lowest, 320))
        for bucket in range(lowest, state[at["highest"]] + 1):
            state[at["buckets"] + bucket] = draw(st.sampled_from([0, 1, 200, 70_000]))
    for value, capacity in plan.recents.items():
        used = state[at[f"recent_{value}"]] = draw(st.integers(0, capacity))
        hashes = draw(st.lists(st.integers(1, 2**32 - 1), min_size=used, max_size=used))
        state[at[f"list_{value}"] : at[f"list_{value}"] + used] = hashes
    return entity, state


def packed(codec: Codec, state: list[int]) -> bytes:
    """Pack by the loops that are compiled, run by the interpreter."""
    out = bytearray(codec.prefix + bytes(10 * len(state)))
    return bytes(out[: pack(codec.layout(), state, out)])


@given(any_states())
def test_the_compiled_codec_writes_the_same_bytes_and_reads_them_back(found: tuple[str, list[int]]) -> None:
    """Both ways, for integers of every size; here its text is interpreted, so numba is not needed."""
    entity, state = found
    codec, again = CODECS[entity], [0] * len(state)
    blob = codec.dump(state)
    assert packed(codec, state) == blob
    assert unpack(codec.layout(), blob, again) == 1
    assert again == state == codec.load(blob)


@needs_numba
@given(any_states())
def test_machine_code_writes_the_same_bytes_and_reads_them_back(
    engine: CompiledEngine, found: tuple[str, list[int]]
) -> None:
    """The same, compiled."""
    entity, state = found
    blob = CODECS[entity].dump(state)
    states = engine.load(((entity, "key"),), [blob])
    assert list(states[entity]) == state
    assert engine.dump(states) == (blob,)


@st.composite
def damaged_blobs(draw: st.DrawFn) -> tuple[str, bytes]:
    """A blob that was cut, lengthened or overwritten somewhere behind its prefix."""
    entity, state = draw(any_states())
    blob = CODECS[entity].dump(state)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(min(5, len(blob)), len(blob)))
        other = draw(st.sampled_from([b"", b"\xff", b"\xdc\xff\xff", b"\xcf" + b"\xff" * 8, b"\x7f", b"\x00", b"\xc5"]))
        blob = blob[:at] + other + blob[at + draw(st.integers(0, 9)) :]
    return entity, blob


def found_in(blob: bytes, load: Callable[[bytes], list[int]]) -> list[int] | None:
    """Return the state in a blob, None where it is refused."""
    try:
        return load(blob)
    except StoreCorrupt:
        return None


def fits(state: list[int]) -> bool:
    """Whether damage made no sum that compiled integers cannot hold."""
    return all(-(2**63) <= number < 2**63 for number in state)


@given(damaged_blobs())
def test_what_the_compiled_codec_takes_the_other_takes_too(found: tuple[str, bytes]) -> None:
    """A damaged blob is refused, or read as the state that the other reads; other bytes than ours may be refused."""
    entity, blob = found
    codec = CODECS[entity]
    state, expected = [0] * codec.size, found_in(blob, codec.load)
    if unpack(codec.layout(), blob, state):
        assert state == expected
    else:
        assert expected is None or codec.dump(expected) != blob


@needs_numba
@given(damaged_blobs())
def test_machine_code_reads_damage_as_its_text_does(engine: CompiledEngine, found: tuple[str, bytes]) -> None:
    """Refused, or the same state; and nothing beyond the state is touched, whatever numbers it holds."""
    entity, blob = found
    keys, state = ((entity, "key"),), [0] * CODECS[entity].size
    taken = unpack(CODECS[entity].layout(), blob, state)
    read: States | None = None
    try:
        read = engine.load(keys, [blob])
    except StoreCorrupt:
        assert not taken
    if read is None or not fits(state):
        return
    assert list(read[entity]) == state
    try:
        engine.step(payment(START_S, device="phone"), read)
        engine.dump(read)
    except (IndexError, StoreCorrupt):
        return


@needs_numba
@pytest.mark.parametrize(
    ("name", "number"),
    [("bucket_500", 10**12), ("bucket_900", -(10**12)), ("tiles_merchant_bit_86400_43200", 2**63 - 1)],
)
def test_an_index_that_leads_nowhere_raises(engine: CompiledEngine, name: str, number: int) -> None:
    """Numbers that no payment leads to, but a damaged blob may hold, are never followed out of the state."""
    event = payment(START_S)
    keys, plan = engine.keys(event), ENGINE.programs["account"].plan
    states = ENGINE.load(keys, [None] * len(keys))
    for _ in range(4):
        ENGINE.update(event, states)
    states["account"][plan.positions()[name]] = number
    with pytest.raises(IndexError):
        engine.step(event, engine.load(keys, ENGINE.dump(states)))


@needs_numba
def test_damaged_machine_code_is_refused(code_file: Path, tmp_path: Path) -> None:
    """A file that was cut or overwritten is never run."""
    whole = code_file.read_bytes()
    for at, damaged in enumerate((b"", whole[:5000], whole[:-1] + b"\xff", b"{}\n" + whole)):
        path = tmp_path / str(at)
        path.write_bytes(damaged)
        with pytest.raises(MachineCodeUnusable):
            load(path)
    with pytest.raises(MachineCodeUnusable):
        load(tmp_path / "missing")


@needs_numba
def test_machine_code_that_computes_other_bits_is_not_used(code: MachineCode) -> None:
    """What is loaded must agree with the interpreter before any payment comes to it."""

    class Wrong:
        unpack, pack = staticmethod(code.unpack), staticmethod(code.pack)

        def step(self, *arguments: int) -> int:
            code.step(*arguments)
            vector = (__import__("ctypes").c_double * 1).from_address(arguments[5])
            vector[0] = 1e9
            return 0

    engine = CompiledEngine()
    with pytest.raises(MachineCodeUnusable, match="other bits"):
        engine.go_over(Wrong())  # type: ignore[arg-type]
    assert not engine.compiled


def test_states_are_plain_integers_either_way() -> None:
    """What is rare stays interpreted on arrays, so programs may use nothing that arrays lack."""
    event = payment(START_S, device="phone")
    keys = ENGINE.keys(event)
    states = ENGINE.load(keys, [None] * len(keys))
    arrays = {entity: array("q", state) for entity, state in states.items()}
    for on in (states, arrays):
        ENGINE.update(event, on)  # type: ignore[arg-type]
        ENGINE.relabel(event, on, 1)  # type: ignore[arg-type]
    assert {entity: found.tolist() for entity, found in arrays.items()} == states
