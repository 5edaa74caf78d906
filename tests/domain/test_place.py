"""Places lie where their coordinates say, as integers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.place import EARTH_RADIUS_KM, UNIT, place_at


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_vector_has_the_length_of_the_earth(latitude: float, longitude: float) -> None:
    """Every unit vector is as long as the unit, to rounding."""
    place = place_at(latitude, longitude)
    assert math.isclose(math.hypot(place.x, place.y, place.z), UNIT, abs_tol=1)
    assert all(isinstance(part, int) for part in (place.x, place.y, place.z))


def test_date_line_is_one_line() -> None:
    """180 degrees east and west are the same meridian."""
    east, west = place_at(10, 180), place_at(10, -180)
    assert (east.x, east.y, east.z) == (west.x, west.y, west.z)


@pytest.mark.parametrize(
    ("first", "second", "km"),
    [((47.60621, -122.33207), (41.87811, -87.6298), 2795), ((0, 0), (0, 1), 111.19), ((0, 0), (0, 180), 20015)],
)
def test_chord_gives_the_known_distance(first: tuple[float, float], second: tuple[float, float], km: float) -> None:
    """Distances from the integer vectors agree with published ones to half a percent."""
    a, b = place_at(*first), place_at(*second)
    chord = math.dist((a.x, a.y, a.z), (b.x, b.y, b.z)) / UNIT
    assert 2 * EARTH_RADIUS_KM * math.asin(min(1, chord / 2)) == pytest.approx(km, rel=0.005)
