"""State to bytes and back: only what is set, each integer in as few bytes as it needs.

A blob is the first four bytes of the spec hash and a MessagePack pair: an array of integers (variable length by
MessagePack's own rule) and the lists of hashes as little-endian 32-bit words. Of a ring only the entries in use are
stored, its tiles as gaps; running totals are not stored, since the entries give them.
"""

import sys
from array import array
from itertools import accumulate
from operator import sub
from typing import Annotated

import msgspec

from cardwatch.domain.errors import StoreCorrupt
from cardwatch.features.plan import BUCKETS, Plan

HASH_BYTES = 4

_Whole = Annotated[int, msgspec.Meta(le=2**63 - 1)]
"""What an integer of the state may be, compiled or not."""


class Codec:
    """Packs and unpacks the states of one entity."""

    def __init__(self, plan: Plan, spec_hash: str) -> None:
        positions = plan.positions()
        self.prefix = bytes.fromhex(spec_hash)[:HASH_BYTES]
        """What each blob of this definition begins with."""
        self.size = plan.size()
        """How many integers the state has."""
        self._scalars = len(plan.stored_scalars())
        self._rings = [
            (
                positions[f"ring_{ring.name}"],
                ring.capacity,
                positions[f"tiles_{ring.name}"],
                [
                    (positions[f"tiles_{column}_{ring.name}"], positions.get(f"total_{column}_{ring.name}", -1))
                    for column in ring.columns
                ],
            )
            for ring in plan.rings.values()
        ]
        self._lists = [
            (positions[f"recent_{value}"], positions[f"list_{value}"], capacity)
            for value, capacity in plan.recents.items()
        ]
        self._buckets = positions.get("buckets", -1)
        self._bounds = (positions["lowest"], positions["highest"]) if plan.quantiles else (-1, -1)
        self._unpack = msgspec.msgpack.Decoder(tuple[list[_Whole], bytes]).decode
        self._pack = msgspec.msgpack.Encoder().encode
        self._template = [0] * self.size

    def layout(self) -> list[int]:
        """Return where everything stands, as `packing` takes it: the counts and bounds, then each ring, each list."""
        numbers = [self._scalars, len(self._rings), len(self._lists), self._buckets, *self._bounds, BUCKETS]
        for length_at, capacity, tiles_at, columns in self._rings:
            numbers += [length_at, capacity, tiles_at, len(columns)]
            numbers += [position for column in columns for position in column]
        for row in self._lists:
            numbers += row
        return numbers

    def understands(self, blob: bytes) -> bool:
        """Whether a blob was written by this definition."""
        return blob[:HASH_BYTES] == self.prefix

    def load(self, blob: bytes | None) -> list[int]:
        """Return the state in a blob; empty without one, or when another definition wrote it.

        Raises StoreCorrupt when the blob is damaged.
        """
        if blob is None or blob[:HASH_BYTES] != self.prefix:
            return self._template.copy()
        try:
            return self._load(blob)
        except (msgspec.MsgspecError, ValueError) as error:
            raise StoreCorrupt("a feature state cannot be read") from error

    def _load(self, blob: bytes) -> list[int]:
        """Unpack a blob of this definition."""
        values, packed = self._unpack(memoryview(blob)[HASH_BYTES:])
        at = self._scalars
        if len(values) < at:
            raise ValueError("too few integers")
        state = self._template.copy()
        state[:at] = values[:at]
        for length_at, capacity, tiles_at, columns in self._rings:
            used = values[length_at]
            if not used:
                continue
            if not 0 < used <= capacity or at + used * (1 + len(columns)) > len(values):
                raise ValueError("too many tiles, or too few integers")
            end = at + used
            state[tiles_at : tiles_at + used] = accumulate(values[at:end])
            for column_at, total_at in columns:
                at, end = end, end + used
                column = values[at:end]
                state[column_at : column_at + used] = column
                if total_at >= 0:
                    state[total_at] = sum(column)
            at = end
        counts = values[at:]
        if self._buckets >= 0:
            lowest, highest = values[self._bounds[0]], values[self._bounds[1]]
            if not 0 <= lowest <= highest < BUCKETS or len(counts) != highest - lowest + 1:
                raise ValueError("amounts beyond all buckets")
            state[self._buckets + lowest : self._buckets + highest + 1] = counts
        elif counts:
            raise ValueError("too many integers")
        self._load_lists(state, packed)
        return state

    def _load_lists(self, state: list[int], packed: bytes) -> None:
        """Put the lists of hashes into a state that has their lengths."""
        words = array("I", packed)
        if sys.byteorder == "big":
            words.byteswap()
        word = 0
        for length_at, list_at, capacity in self._lists:
            used = state[length_at]
            if not 0 <= used <= capacity:
                raise ValueError("too many hashes")
            state[list_at : list_at + used] = words[word : word + used]
            word += used
        if word != len(words):
            raise ValueError("hashes of no list")

    def dump(self, state: list[int]) -> bytes:
        """Return a state as bytes."""
        values = state[: self._scalars]
        for length_at, _, tiles_at, columns in self._rings:
            used = values[length_at]
            if used:
                tiles = state[tiles_at : tiles_at + used]
                values.append(tiles[0])
                values += map(sub, tiles[1:], tiles)
                for column_at, _ in columns:
                    values += state[column_at : column_at + used]
        if self._buckets >= 0:
            lowest, highest = self._bounds
            values += state[self._buckets + state[lowest] : self._buckets + state[highest] + 1]
        words = array("I")
        for length_at, list_at, _ in self._lists:
            words.extend(state[list_at : list_at + state[length_at]])
        if sys.byteorder == "big":
            words.byteswap()
        return self.prefix + self._pack((values, words.tobytes()))
