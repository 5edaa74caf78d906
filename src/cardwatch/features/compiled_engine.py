"""The feature engine that goes over to machine code once there is some, with the same vectors and bytes.

It begins interpreted. States say themselves how they were loaded, so it may go over at any time, even between the
loading of a payment's states and their use.
"""

from array import array
from collections.abc import Iterator, Sequence
from copy import copy
from ctypes import string_at
from math import nan
from typing import cast

from cardwatch.domain.errors import StoreCorrupt
from cardwatch.features.codec import HASH_BYTES
from cardwatch.features.encode import encode
from cardwatch.features.engine import FeatureEngine, Keys, States
from cardwatch.features.event import PaymentEvent
from cardwatch.features.machine_code import READ, UPDATE, MachineCode, MachineCodeUnusable, stateful
from cardwatch.features.spec import LABEL_DELAY_S

_INTEGER_BYTES_MAX = 9
_TRIAL_PAYMENTS = 64


class ArrayStates(dict[str, list[int]]):
    """States of which each is an array of 64-bit integers, where it stands in memory as machine code takes it.

    An array is used as a list is, so that what is rare stays interpreted.
    """

    __slots__ = ()


class CompiledEngine(FeatureEngine):
    """A feature engine that can go over to machine code."""

    def __init__(self, *, label_delay_s: int = LABEL_DELAY_S) -> None:
        """Begin interpreted, with the features of the table."""
        super().__init__(label_delay_s=label_delay_s)
        self._code: MachineCode | None = None
        self._order = stateful(self)
        self._bits = {entity: 1 << at for at, entity in enumerate(self._order)}
        self._empty = {entity: array("q", bytes(8 * self._codecs[entity].size)) for entity in self._order}
        self._layouts = {entity: array("q", self._codecs[entity].layout()) for entity in self._order}
        self._nan = array("d", [nan]) * len(self.names)
        self._prefix = self._codecs["account"].prefix
        largest = max(codec.size for codec in self._codecs.values())
        self._room = array("B", self._prefix + bytes(_INTEGER_BYTES_MAX * (largest + 2)))

    @property
    def compiled(self) -> bool:
        """Whether it has gone over."""
        return self._code is not None

    def go_over(self, code: MachineCode) -> None:
        """Use machine code from now on, once it gave some payments the bits that the interpreter gives them.

        Raises MachineCodeUnusable, and stays interpreted, when it did not.
        """
        other = copy(self)
        other._code = code  # noqa: SLF001 - its own class
        try:
            same = all(a == b for a, b in zip(_trial(self), _trial(other), strict=True))
        except (IndexError, StoreCorrupt) as error:
            raise MachineCodeUnusable("the machine code fails") from error
        if not same:
            raise MachineCodeUnusable("the machine code computes other bits than the interpreter")
        self._code = code

    def load(self, keys: Keys, blobs: Sequence[bytes | None]) -> States:
        """Decode the states of `keys`, in the same order; None stands for no state yet.

        Raises StoreCorrupt when a blob of this definition is damaged.
        """
        code = self._code
        if code is None:
            return super().load(keys, blobs)
        states = ArrayStates()
        for (entity, _), blob in zip(keys, blobs, strict=True):
            state = self._empty[entity][:]
            if blob is not None and blob[:HASH_BYTES] == self._prefix:
                layout_at, layout_size = self._layouts[entity].buffer_info()
                if not code.unpack(layout_at, layout_size, blob, len(blob), *state.buffer_info()):
                    raise StoreCorrupt("a feature state cannot be read")
            states[entity] = cast("list[int]", state)
        return states

    def read(self, event: PaymentEvent, states: States) -> list[float]:
        """Return the vector of a payment, before its own effect; NaN where a value is missing. Changes nothing."""
        return self._run(event, states, READ) if isinstance(states, ArrayStates) else super().read(event, states)

    def update(self, event: PaymentEvent, states: States) -> None:
        """Apply a payment's effect to its states."""
        if isinstance(states, ArrayStates):
            self._run(event, states, UPDATE)
        else:
            super().update(event, states)

    def step(self, event: PaymentEvent, states: States) -> list[float]:
        """Return the vector of a payment, then apply its effect."""
        if isinstance(states, ArrayStates):
            return self._run(event, states, READ | UPDATE)
        return super().step(event, states)

    def dump(self, states: States) -> tuple[bytes, ...]:
        """Encode the states, in their order; raises StoreCorrupt when damage that went unseen left one impossible."""
        code = self._code
        if code is None or not isinstance(states, ArrayStates):
            return super().dump(states)
        room = self._room[:]
        room_at, room_size = room.buffer_info()
        blobs = []
        for entity, state in states.items():
            layout_at, layout_size = self._layouts[entity].buffer_info()
            state_at, state_size = _address(state)
            size = code.pack(layout_at, layout_size, state_at, state_size, room_at, room_size)
            if size < 0:
                raise StoreCorrupt("a feature state cannot be written")
            blobs.append(string_at(room_at, size))
        return tuple(blobs)

    def _run(self, event: PaymentEvent, states: ArrayStates, what: int) -> list[float]:
        """Make one call for all entities that the payment has."""
        code = self._code
        if code is None:
            raise TypeError("these states were loaded by another engine")
        encoded, vector = array("q", encode(event)), self._nan[:]
        at = dict.fromkeys(self._order, 0)
        for entity, state in states.items():
            at[entity] = _address(state)[0]
            what |= self._bits[entity]
        code.step(*at.values(), encoded.buffer_info()[0], vector.buffer_info()[0], what)
        return vector.tolist()


def _address(state: list[int]) -> tuple[int, int]:
    """Return where the array of a state stands, and how many integers it has."""
    return cast("array[int]", state).buffer_info()


def _trial(engine: CompiledEngine) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
    """Yield vector and stored states of payments that walk most ways: late ones, repeated ones, some without parts."""
    blobs: dict[tuple[str, str], bytes] = {}
    for number in range(_TRIAL_PAYMENTS):
        time_s = 1_700_000_000 + number * 7919 * 3600 % 5_000_000
        event = PaymentEvent(
            time_s=time_s,
            account="account" if number % 13 else None,
            merchant=f"merchant {number % 3}" if number % 11 else None,
            amount_minor=100 + number**4 % 90_000,
            foreign_currency=number % 7 == 3,
            local_time_s=time_s,
            home=(600_000, -500_000, 620_000),
            place=(600_000 + number * 997 % 9000, -500_000, 620_000) if number % 3 else None,
            country=f"C{number % 4}",
            device=f"device {number % 2}" if number % 5 else None,
        )
        keys = engine.keys(event)
        states = engine.load(keys, [blobs.get(key) for key in keys])
        vector = array("d", engine.step(event, states))
        if number % 4 == 0:
            engine.relabel(event, states, 1)
        blobs.update(zip(keys, engine.dump(states), strict=True))
        yield vector.tobytes(), tuple(blobs[key] for key in keys)
