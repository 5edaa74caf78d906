"""How instants are printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.times import format_instant, parse_instant

LAST_MS = 253_402_300_799_999


@pytest.mark.parametrize(
    ("at_ms", "printed"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_361_948_120, "2026-11-22T15:39:08.120Z"),
        (1_795_361_948_009, "2026-11-22T15:39:08.009Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_printed_with_three_digits_of_milliseconds(at_ms: int, printed: str) -> None:
    """RFC 3339 in UTC, the same width for every instant."""
    assert format_instant(at_ms) == printed


@given(st.integers(0, LAST_MS))
def test_what_is_printed_reads_back_as_the_same_instant(at_ms: int) -> None:
    """Not a millisecond is lost on the way out and back."""
    assert parse_instant(format_instant(at_ms)) == at_ms
