"""State to bytes and back: only what is set, each integer in as few bytes as it needs.

A blob is the first four bytes of the spec hash and a MessagePack pair: an array of integers (variable length by
MessagePack's own rule) and the lists of hashes as little-endian 32-bit words. Of a ring only the entries in use are
stored, its tiles as gaps; running totals are not stored, since the entries give them.
"""

import sys
from array import array
from itertools import accumulate
from operator import sub

import msgspec

from cardwatch.domain.errors import StoreCorrupt
from cardwatch.features.plan import Plan

HASH_BYTES = 4


class Codec:
    """Packs and unpacks the states of one entity."""

    def __init__(self, plan: Plan, spec_hash: str) -> None:
        positions = plan.positions()
        self._prefix = bytes.fromhex(spec_hash)[:HASH_BYTES]
        self._scalars = len(plan.stored_scalars())
        self._size = plan.size()
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
        self._unpack = msgspec.msgpack.Decoder(tuple[list[int], bytes]).decode
        self._pack = msgspec.msgpack.Encoder().encode
        self._template = [0] * self._size

    def understands(self, blob: bytes) -> bool:
        """Whether a blob was written by this definition."""
        return blob[:HASH_BYTES] == self._prefix

    def load(self, blob: bytes | None) -> list[int]:
        """Return the state in a blob; empty without one, or when another definition wrote it.

        Raises StoreCorrupt when the blob is damaged.
        """
        if blob is None or blob[:HASH_BYTES] != self._prefix:
            return self._template.copy()
        try:
            state = self._load(blob)
        except (msgspec.MsgspecError, IndexError, ValueError) as error:
            raise StoreCorrupt("a feature state cannot be read") from error
        if len(state) != self._size:
            raise StoreCorrupt("a feature state has the wrong length")
        return state

    def _load(self, blob: bytes) -> list[int]:
        """Unpack a blob of this definition."""
        values, packed = self._unpack(memoryview(blob)[HASH_BYTES:])
        at = self._scalars
        state = self._template.copy()
        state[:at] = values[:at]
        for length_at, capacity, tiles_at, columns in self._rings:
            used = values[length_at]
            if not used:
                continue
            if not 0 < used <= capacity:
                raise ValueError("too many tiles")
            end = at + used
            state[tiles_at : tiles_at + used] = accumulate(values[at:end])
            for column_at, total_at in columns:
                at, end = end, end + used
                column = values[at:end]
                state[column_at : column_at + used] = column
                if total_at >= 0:
                    state[total_at] = sum(column)
            at = end
        if self._buckets >= 0:
            first = self._buckets + values[self._bounds[0]]
            counts = values[at:]
            state[first : first + len(counts)] = counts
        if self._lists:
            words = array("I", packed)
            if sys.byteorder == "big":
                words.byteswap()
            word = 0
            for length_at, list_at, _ in self._lists:
                used = values[length_at]
                state[list_at : list_at + used] = words[word : word + used]
                word += used
        return state

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
        return self._prefix + self._pack((values, words.tobytes()))
