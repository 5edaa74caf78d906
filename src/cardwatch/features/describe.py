"""The reference page of the features, made from their table; `make docs` writes it."""

from collections.abc import Iterable

from cardwatch.features.aggregations import RECENT_MAX
from cardwatch.features.encode import SKETCH_BITS
from cardwatch.features.engine import FeatureEngine
from cardwatch.features.spec import (
    DAY_S,
    ENTITIES,
    HOUR_S,
    LABEL_DELAY_S,
    LABEL_TILE_S,
    LABEL_WINDOW_S,
    MINUTE_S,
    WINDOWS,
    Feature,
)
from cardwatch.features.statements import HIGH_TIMES

_TITLES = {
    "payment": "Of the payment itself",
    "account": "Of the account's history",
    "merchant": "Of the merchant's history",
    "device": "Of the device's history",
    "pair": "Of the account's history at the merchant",
}

_OPENING = """\
# Features

This page is generated from the feature table in `src/cardwatch/features/table/` by `make docs`.
Serving and training compute these values by the same code; a vector is read before the payment's own effect.
A value that cannot be known is missing (NaN), never 0. Amounts in another currency than the account's count as
payments, but enter no amount, and their own amount features are missing.

## Windows

A window is the tile of now and the tiles before it that cover its length, so it spans its length and at most one tile
more. Tiles are counted from 1970-01-01T00:00:00Z. A late payment counts in its own tile while that is in the window;
now is the latest time seen. An account sees every payment at once. A merchant sees minutes that closed at least one
minute ago, so its windows end one to two minutes before now.

| window | length | tile |
|---|---|---|
"""

_TILES = f"""
Distinct merchants of an account are counted in tiles of 12 hours, distinct accounts of a merchant in tiles of 6 hours
and of a device in tiles of 1 day, each by a sketch of {SKETCH_BITS} bits. What an account's amounts exceed is kept by
day. An account remembers the {RECENT_MAX["merchant_hash"]} merchants, {RECENT_MAX["place_hash"]} places,
{RECENT_MAX["device_hash"]} devices and {RECENT_MAX["country_hash"]} countries it used last. The age of a merchant
counts from the minute of its first payment.

## Labels

Labels enter state when they are told, at the payment that they are about, in tiles of {LABEL_TILE_S // HOUR_S} hours
that are kept for {LABEL_WINDOW_S // DAY_S} days; older tiles leave with the next payment. A feature reads a tile only
once all its payments are older than the label delay ({LABEL_DELAY_S // DAY_S} days unless a model was trained with
another); then its payments are known, and those without a label count as genuine. Windows of known payments end with
the last known tile. A run of frauds is what lies after the last known tile that holds a genuine payment. A fraud of
{HIGH_TIMES} times the merchant's mean amount or more, as the mean was when the label was told, is high: it tells of the
card, and neither counts in a run nor ends it.
"""


def page(engine: FeatureEngine) -> str:
    """Return the page."""
    lines = [f"| {name} | {_length(window_s)} | {_length(tile_s)} |" for name, _, window_s, tile_s in WINDOWS]
    text = _OPENING + "\n".join(lines) + "\n" + _TILES
    for entity in ENTITIES:
        text += _section(entity, [feature for feature in engine.describe() if feature.entity == entity])
    return text


def _section(entity: str, features: Iterable[Feature]) -> str:
    """Return the table of one entity."""
    head = f"\n## {_TITLES[entity]}\n\n| feature | unit | why | reason code | usual |\n|---|---|---|---|---|\n"
    rows = [f"| `{f.name}` | {f.unit} | {f.why} | `{f.code}` | {f'`{f.usual}`' if f.usual else ''} |" for f in features]
    return head + "\n".join(rows) + "\n"


def _length(seconds: int) -> str:
    """Return a length of time in its largest whole unit."""
    for length, unit in ((DAY_S, "day"), (HOUR_S, "hour"), (MINUTE_S, "minute")):
        if seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} seconds"
