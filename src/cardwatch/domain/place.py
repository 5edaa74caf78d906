"""Places on Earth, with the integer unit vector that features compute distances from.

Trigonometry differs in the last bit between C libraries, so it happens once, when a place enters the system;
what is stored and replayed is integers.
"""

import math

import msgspec

UNIT = 1_000_000
"""Length of the integer vectors: one step is 6.4 m on the ground."""

EARTH_RADIUS_KM = 6371.0
"""Mean radius (IUGG R1 = 6371.0088 km), rounded."""


class Place(msgspec.Struct, frozen=True):
    """A point with its unit vector (x, y, z), each coordinate scaled by `UNIT` and rounded to an integer."""

    x: int
    y: int
    z: int
    latitude: float
    longitude: float
    name: str | None = None
    country: str | None = None
    """ISO 3166-1 alpha-2."""


def place_at(latitude: float, longitude: float, *, name: str | None = None, country: str | None = None) -> Place:
    """Make the place at a latitude (-90..90) and longitude (-180..180), both in degrees."""
    phi, lam = math.radians(latitude), math.radians(longitude)
    return Place(
        x=round(UNIT * math.cos(phi) * math.cos(lam)),
        y=round(UNIT * math.cos(phi) * math.sin(lam)),
        z=round(UNIT * math.sin(phi)),
        latitude=latitude,
        longitude=longitude,
        name=name,
        country=country,
    )
