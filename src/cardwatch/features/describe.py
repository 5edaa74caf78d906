"""The reference page of the features, made from their table; `make docs` writes it."""

from collections.abc import Iterable

from cardwatch.features.engine import FeatureEngine
from cardwatch.features.spec import DAY_S, ENTITIES, HOUR_S, MINUTE_S, WINDOWS, Feature

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


def page(engine: FeatureEngine) -> str:
    """Return the page."""
    lines = [f"| {name} | {_length(window_s)} | {_length(tile_s)} |" for name, _, window_s, tile_s in WINDOWS]
    text = _OPENING + "\n".join(lines) + "\n"
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
