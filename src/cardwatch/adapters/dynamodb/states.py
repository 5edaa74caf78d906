"""Feature state, and the verb that applies a payment's effect to it though it may be delivered again.

On AWS a payment's effect on each state is a write of its own (four plain writes cost half of one transaction), so a
crash may leave some done and some not, and the stream delivers the payment again. Each state therefore remembers the
last 16 payments that it counted. A payment among them changes nothing. One that is older than what was forgotten may
have been counted before: where its delivery is known to be a repeated one it is left out and reported.
"""

import secrets
import struct
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from cardwatch.adapters.dynamodb.database import Database, Write
from cardwatch.adapters.dynamodb.names import Key, Table
from cardwatch.adapters.dynamodb.values import Item, data, number
from cardwatch.domain.errors import StoreCorrupt, StoreUnavailable
from cardwatch.features.engine import PAIR_SEPARATOR

RING: Final = 16
"""Payments that a state remembers: 8 bytes each, so that the largest state stays within one write unit."""

ATTEMPTS_MAX: Final = 24
"""Tries to write one state while others write it too; with the pauses between them this takes about 2 s."""

_PAUSE_MS: Final = 4
_PAUSE_MS_MAX: Final = 200


class Applied(StrEnum):
    """What came of applying a payment's effect."""

    DONE = "done"
    ALREADY = "already"
    """It is among the payments that the state counted last; nothing was changed."""
    DOUBTFUL = "doubtful"
    """A repeated delivery so late that nobody knows whether it was counted; nothing was changed."""


class StateOutcome(msgspec.Struct, frozen=True):
    """What came of it, and how often another writer was first."""

    applied: Applied
    retries: int


class Ring(msgspec.Struct, frozen=True):
    """The payments that a state counted last, oldest first, and the highest of those that it forgot."""

    sequences: tuple[int, ...] = ()
    forgotten: int = 0

    @classmethod
    def of(cls, item: Item | None) -> "Ring":
        """Read a state's ring, empty where there is none; raises StoreCorrupt."""
        if item is None or "ring" not in item:
            return cls()
        stored = data(item, "ring")
        if len(stored) % 8 or not stored:
            raise StoreCorrupt("a state's ring of payments cannot be read")
        forgotten, *sequences = struct.unpack(f">{len(stored) // 8}q", stored)
        return cls(tuple(sequences), forgotten)

    def with_payment(self, sequence: int) -> "Ring":
        """Return the ring once one more payment is counted."""
        sequences = (*self.sequences, sequence)
        gone = sequences[:-RING]
        return Ring(sequences[-RING:], max(self.forgotten, *gone) if gone else self.forgotten)

    def dump(self) -> bytes:
        """Return the stored form."""
        return struct.pack(f">{len(self.sequences) + 1}q", self.forgotten, *self.sequences)


def state_key(entity: str, key: str) -> Key:
    """Return the key of an entity's state."""
    return Table.STATES, f"{entity}#{key}", ""


def state_item(place: Key) -> Item:
    """Return the item of a state without content; that of a pair is found by its account's id."""
    entity, _, key = place[1].partition("#")
    owner, separator, _ = key.partition(PAIR_SEPARATOR)
    item: Item = {"state_id": place[1]}
    return item | ({"owner": owner} if entity == "pair" and owner and separator else {})


def state_of(item: Item | None) -> tuple[int, bytes] | None:
    """Return (version, blob) of a state's item."""
    return None if item is None else (number(item, "version"), data(item, "blob"))


def apply_state(
    database: Database,
    place: Key,
    *,
    sequence: int,
    step: Callable[[bytes | None], bytes],
    redelivered: bool,
    read: Item | None,
) -> StateOutcome:
    """Compare and set one state until it held; `read` is the item as it was read a moment ago, if it was.

    Raises StoreUnavailable when others kept being first.
    """
    item = read if read is not None else database.get(place, consistent=False)
    for attempt in range(ATTEMPTS_MAX):
        ring = Ring.of(item)
        if sequence in ring.sequences:
            return StateOutcome(Applied.ALREADY, attempt)
        if redelivered and sequence <= ring.forgotten:
            return StateOutcome(Applied.DOUBTFUL, attempt)
        failed = database.write([_write(place, item, step, ring.with_payment(sequence))])
        if failed is None:
            return StateOutcome(Applied.DONE, attempt)
        if attempt == 0 and place in failed.current:
            item = failed.current[place]
            continue
        pause(attempt)
        item = database.get(place, consistent=True)  # what the failed write showed is old again after a pause
    raise StoreUnavailable(f"a state kept changing while it was written {ATTEMPTS_MAX} times")


def _write(place: Key, item: Item | None, step: Callable[[bytes | None], bytes], ring: Ring) -> Write:
    before = state_of(item)
    version = before[0] if before else 0
    values: Item = {"version": version + 1, "blob": step(before[1] if before else None), "ring": ring.dump()}
    if item is None:
        return Write(key=place, item=state_item(place) | values, absent=True)
    return Write(key=place, sets=values, expected={"version": version})


def pause(attempt: int) -> None:
    """Wait before trying again: full jitter, doubling to a limit (Brooker, AWS Architecture Blog, 2015)."""
    highest_ms = min(_PAUSE_MS_MAX, _PAUSE_MS << min(attempt, 10))
    time.sleep(secrets.randbelow(1000 * highest_ms + 1) / 1_000_000)
