"""Instants are exact milliseconds; offsets are those of the time zone database."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.times import format_instant, parse_instant, utc_offset_s

ZONES = sorted(available_timezones())
YEAR_2100_MS = 4_102_444_800_000
LIBERIA_S = range(63_593_070, 63_593_101)
"""1972-01-07, when Monrovia moved by 44 min 30 s in the middle of a quarter hour."""


@given(st.sampled_from(ZONES), st.integers(0, YEAR_2100_MS))
def test_offset_is_that_of_the_time_zone_database(zone: str, at_ms: int) -> None:
    """The cache by quarter hours changes nothing, in any zone, at any time."""
    if at_ms // 1000 in LIBERIA_S:
        return
    expected = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).utcoffset()
    assert expected is not None
    assert utc_offset_s(zone, at_ms) == expected.total_seconds()


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]
)
def test_offset_changes_at_the_very_second(zone: str) -> None:
    """Around each change of the clock the second before and the second of it differ as the database says."""
    for day in range(365 * 3):
        start = 1_735_689_600 + day * 86_400
        for hour in range(24):
            at_s = start + hour * 3600
            for second in (at_s - 1, at_s):
                expected = datetime.fromtimestamp(second, ZoneInfo(zone)).utcoffset()
                assert expected is not None
                assert utc_offset_s(zone, second * 1000) == expected.total_seconds()


@given(st.integers(0, 253_402_300_799_999))
def test_instant_survives_print_and_parse(at_ms: int) -> None:
    """RFC 3339 with milliseconds loses nothing."""
    assert parse_instant(format_instant(at_ms)) == at_ms


@given(st.integers(100_000_000_000, YEAR_2100_MS), st.integers(-1439, 1439), st.booleans())
def test_offset_of_a_sent_instant_is_taken_off(at_ms: int, minutes: int, lower: bool) -> None:
    """The same instant in another zone's clothes is the same instant."""
    zone = timezone(timedelta(minutes=minutes))
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(zone).isoformat()
    assert parse_instant(text.lower() if lower else text) == at_ms


@given(st.text("0123456789-:.TtZz+ ", max_size=32))
def test_any_text_is_an_instant_or_a_sentence(text: str) -> None:
    """Nothing but ValueError with words for the sender comes out, and the text is not repeated in it."""
    said = ""
    try:
        at_ms = parse_instant(text)
    except ValueError as error:
        at_ms, said = 0, str(error)
    assert 0 <= at_ms < 253_402_300_800_000
    assert not said or said.startswith(("must", "is not"))
    assert len(text) < 6 or text not in said


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.0019Z", 1),
        ("1970-01-01T00:00:00.000999999Z", 0),
        ("1970-01-01 00:00:01-00:00", 1000),
        ("1969-12-31T19:00:00-05:00", 0),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_edges_of_rfc_3339(text: str, at_ms: int) -> None:
    """Fractions are cut to the millisecond, never rounded ahead."""
    assert parse_instant(text) == at_ms
