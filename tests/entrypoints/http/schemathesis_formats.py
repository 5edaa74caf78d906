"""Loaded by schemathesis: how to draw the two formats whose truth no schema can say.

An instant must not be ahead of now, and a telephone number must be one that its country gives out.
"""

from datetime import UTC, datetime

import schemathesis
from hypothesis import strategies as st

_FROM, _UNTIL = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1970, 2026))

schemathesis.openapi.format(
    "date-time",
    st.integers(_FROM, _UNTIL - 1).map(lambda at_s: datetime.fromtimestamp(at_s, UTC).isoformat()),
)
schemathesis.openapi.format("phone-number", st.integers(2_000_000, 9_999_999).map(lambda number: f"+1206{number}"))
