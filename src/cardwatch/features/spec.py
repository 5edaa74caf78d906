"""The table of features: what each is, over which window, how it is printed, and the words for it as a reason.

This table is the definition. Serving and training run the programs generated from it, and nothing else computes a
feature. The name of a merchant is no feature: it only tells merchants apart.
"""

from enum import StrEnum

import msgspec

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S

ENTITIES: dict[str, int | None] = {"payment": None, "account": None, "merchant": 1, "device": None, "pair": None}
"""Whose history a feature reads, in the order of the vector, with the lag: None sees every payment at once; n sees
minutes that closed at least n minutes ago, so that busy keys may be written in batches. A payment has no history;
a pair is an account at a merchant."""

WINDOWS: tuple[tuple[str, str, int, int], ...] = (
    ("1h", "the last hour", HOUR_S, 5 * MINUTE_S),
    ("1d", "the last day", DAY_S, HOUR_S),
    ("7d", "the last 7 days", 7 * DAY_S, 6 * HOUR_S),
    ("30d", "the last 30 days", 30 * DAY_S, DAY_S),
)
"""Name, words, length and tile (both in seconds) of each window."""

LABEL_DELAY_S = 7 * DAY_S
"""How old a payment must be before features read its label, unless an engine is made with another delay.

By then most cardholders have seen their statement or an alert; a payment that old without a report counts as genuine.
"""

LABEL_DELAY_MAX_S = 30 * DAY_S

LABEL_TILE_S = 3 * HOUR_S
LABEL_WINDOW_S = 60 * DAY_S
"""Labels are kept by three hours, for so long that a month of them is known even after the longest delay."""


class Printed(StrEnum):
    """How a value is written for people."""

    MONEY = "money"
    COUNT = "count"
    RATE = "rate"
    TIMES = "times"
    NUMBER = "number"
    SHARE = "share"
    FLAG = "flag"
    HOUR = "hour"
    DURATION = "duration"
    DAYS = "days"
    DISTANCE = "distance"
    SPEED = "speed"


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the vector."""

    name: str
    entity: str
    value: str
    """Which contribution of a payment it is about."""
    aggregation: str
    window_s: int = 0
    """0: since the entity's first payment."""
    tile_s: int = 0
    unit: str
    why: str
    """What it tells about fraud."""
    printed: Printed
    code: str
    """Reason code."""
    text: str
    """The reason in plain words when the value is high, or true; {value} and {usual} stand for the printed forms."""
    text_low: str
    """The reason when the value is low, or false."""
    usual: str | None = None
    """The feature that holds the usual value of this one."""
