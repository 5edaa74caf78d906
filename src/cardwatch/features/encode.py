"""A payment as plain integers: what the generated functions take, so that they can be compiled for arrays later.

Owns hashing and the logarithmic scale of amounts. A field that the payment lacks is 0, with a flag beside it where
0 is also a value.
"""

from zlib import crc32

from cardwatch.features.event import PaymentEvent
from cardwatch.features.spec import DAY_S, HOUR_S

FIELDS: tuple[str, ...] = (
    "time",
    "local",
    "own",
    "amount",
    "scale",
    "small",
    "night",
    "merchant_hash",
    "device_hash",
    "account_bit",
    "merchant_bit",
    "placed",
    "place_hash",
    "x",
    "y",
    "z",
    "country_hash",
    "homed",
    "home_x",
    "home_y",
    "home_z",
    "unresolved",
)
"""Names of the integers of a payment, in order. Amount fields are 0 unless `own` (paid in the account's currency)."""

OCTAVE_STEPS = 64
"""Steps of the amount scale per doubling."""

SCALE_SIZE = 41 * OCTAVE_STEPS
"""Every amount up to `domain.money.AMOUNT_MINOR_MAX` (less than 2**40) lies below this on the scale."""

SKETCH_BITS = 62
"""Bits of a sketch of distinct members; 62 keep a 64-bit integer positive."""

SMALL_MINOR = 200
"""Below this many minor units a payment may be a test of a stolen card."""

NIGHT_HOURS = 6
"""Night lasts from local midnight to this hour."""

_CELL = 4_000
"""Side of the cell that stands for a place without a name: 25 km in steps of the unit vector."""

Encoded = tuple[int, ...]


def amount_scale(minor: int) -> int:
    """Return the place of an amount on the doubling scale: whole doublings and 64 straight steps between them."""
    value = max(minor, 1)
    octave = value.bit_length() - 1
    fraction = value >> (octave - 6) if octave > 6 else value << (6 - octave)
    return octave * OCTAVE_STEPS + fraction - OCTAVE_STEPS


def stable_hash(text: str) -> int:
    """Return a 32-bit hash that is the same in every process and never 0."""
    return crc32(text.encode()) or 1


def optional_hash(text: str | None) -> int:
    """Return the hash of a text, 0 where there is none."""
    return stable_hash(text) if text else 0


def sketch_bit(text: str | None) -> int:
    """Return the one bit that stands for a text in a sketch of distinct members, 0 where there is none."""
    return 1 << crc32(text.encode()) % SKETCH_BITS if text else 0


def place_hash(place: tuple[int, int, int] | None, name: str | None) -> int:
    """Return the hash of a place by its name, else by its cell; 0 without a place."""
    if place is None:
        return 0
    x, y, z = place
    return stable_hash(name or f"{x // _CELL},{y // _CELL},{z // _CELL}")


def encode(event: PaymentEvent) -> Encoded:
    """Return the integers of a payment in the order of `FIELDS`."""
    place, home, own = event.place, event.home, not event.foreign_currency
    amount = event.amount_minor if own else 0
    x, y, z = place or (0, 0, 0)
    home_x, home_y, home_z = home or (0, 0, 0)
    return (
        event.time_s,
        event.local_time_s,
        1 if own else 0,
        amount,
        amount_scale(amount) if own else 0,
        1 if own and amount < SMALL_MINOR else 0,
        1 if event.local_time_s % DAY_S < NIGHT_HOURS * HOUR_S else 0,
        optional_hash(event.merchant),
        optional_hash(event.device),
        sketch_bit(event.account),
        sketch_bit(event.merchant),
        1 if place is not None else 0,
        place_hash(place, event.place_name),
        x,
        y,
        z,
        optional_hash(event.country),
        1 if home is not None else 0,
        home_x,
        home_y,
        home_z,
        1 if event.place_unresolved else 0,
    )
