"""Instants as integer milliseconds since 1970 UTC, and their RFC 3339 form at the edges."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def format_instant(at_ms: int) -> str:
    """Print an instant as RFC 3339 in UTC with milliseconds: "2026-11-22T15:39:08.120Z"."""
    return f"{_format_second(at_ms // SECOND_MS)}.{at_ms % SECOND_MS:03d}Z"


def parse_instant(text: str) -> int:
    """Read an RFC 3339 date-time, which always names its offset; raises ValueError with a sentence for the sender."""
    if not _RFC3339.fullmatch(text):
        raise ValueError('must be an RFC 3339 date and time with an offset, such as "2026-11-22T15:39:08Z"')
    try:
        instant = datetime.fromisoformat(text.upper().replace(" ", "T"))
        at_ms = (instant - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise ValueError("is not a date and time that exists") from error
    if not 0 <= at_ms < 253_402_300_800_000:  # year 9999
        raise ValueError("must lie between 1970 and 9999")
    return at_ms


@lru_cache(maxsize=1024)
def _format_second(at_s: int) -> str:
    """Print a second; cached, because what is printed while serving lies close together."""
    return (_EPOCH + timedelta(seconds=at_s)).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def _offset_in_quarter_hour(zone: str, quarter_hour: int) -> int:
    offset = datetime.fromtimestamp(quarter_hour * 900, ZoneInfo(zone)).utcoffset()
    assert offset is not None  # noqa: S101  an aware datetime has an offset
    return int(offset.total_seconds())


def utc_offset_s(zone: str, at_ms: int) -> int:
    """Return an IANA zone's offset from UTC at an instant, in seconds.

    Cached by the quarter hour: since 1970 no zone has changed its offset within one, but for Liberia on 1972-01-07.
    """
    return _offset_in_quarter_hour(zone, at_ms // (900 * SECOND_MS))
