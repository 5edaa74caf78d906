"""Reasons in plain words: what each feature added to the margin, with its value and what is usual.

The words stand in the feature table; here values are printed for people and the strongest reasons chosen.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence

from cardwatch.domain.decision import Reason
from cardwatch.domain.money import Money
from cardwatch.features.spec import Feature, Printed

REASONS_MAX = 5

CONTRIBUTION_MIN = 0.05
"""Log-odds below which a feature did not move the score enough to be named."""

_USUAL_ASIDE = re.compile(r" \([^()]*\{usual\}[^()]*\)| \{usual\}")


def explain(
    vector: Sequence[float],
    contributions: Sequence[float],
    *,
    features: Sequence[Feature],
    medians: Sequence[float | None],
    currency: str,
) -> tuple[Reason, ...]:
    """Return up to `REASONS_MAX` reasons: those towards fraud first, then those against it, each strongest first.

    `medians` tell which values are high and which low. Of features that say the same (one code) the strongest speaks;
    features without a value say nothing.
    """
    order = sorted(range(len(features)), key=lambda at: -contributions[at])
    towards = [at for at in order if contributions[at] >= CONTRIBUTION_MIN]
    against = [at for at in reversed(order) if contributions[at] <= -CONTRIBUTION_MIN]
    values = {feature.name: value for feature, value in zip(features, vector, strict=True)}
    reasons: dict[str, Reason] = {}
    for at in [*towards, *against]:
        feature = features[at]
        if math.isnan(vector[at]) or feature.code in reasons:
            continue
        reasons[feature.code] = _reason(feature, values, contributions[at], median=medians[at], currency=currency)
        if len(reasons) == REASONS_MAX:
            break
    return tuple(reasons.values())


def _reason(
    feature: Feature, values: Mapping[str, float], contribution: float, *, median: float | None, currency: str
) -> Reason:
    value = values[feature.name]
    printed = print_value(value, feature.printed, currency)
    usual = _usual(feature, values, currency)
    high = value >= 0.5 if feature.printed is Printed.FLAG else median is None or value >= median
    template = feature.text if high else feature.text_low
    if usual is None:
        template = _USUAL_ASIDE.sub("", template)
    text = template.format(value=printed, usual=usual)
    return Reason(feature.code, feature.name, printed, usual, contribution, text)


def _usual(feature: Feature, values: Mapping[str, float], currency: str) -> str | None:
    """Print the feature that holds the usual value; it is money where its name says amount or sum, else a rate."""
    usual = values.get(feature.usual, math.nan) if feature.usual else math.nan
    if feature.usual is None or math.isnan(usual):
        return None
    money = "amount" in feature.usual or "sum" in feature.usual
    return print_value(usual, Printed.MONEY if money else Printed.RATE, currency)


def print_value(value: float, printed: Printed, currency: str) -> str:
    """Print a value as people read it; `currency` is that of amounts, which are in minor units."""
    if printed is Printed.MONEY:
        return Money(round(value), currency).display
    return _PRINTERS[printed](value)


def _times(value: float) -> str:
    if value >= 10:
        return f"{value:,.0f} times"
    return f"{value:.1f} times" if value >= 0.1 else f"{value:.2g} times"


def _duration(seconds: float) -> str:
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            return _plural(int(seconds // unit), name)
    return _plural(int(seconds), "second")


def _plural(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


_PRINTERS: dict[Printed, Callable[[float], str]] = {
    Printed.COUNT: lambda value: f"{value:,.0f}",
    Printed.RATE: lambda value: f"{value:,.1f}",
    Printed.TIMES: _times,
    Printed.NUMBER: lambda value: f"{value:,.1f}",
    Printed.SHARE: lambda value: f"{value:.0%}",
    Printed.FLAG: lambda value: "yes" if value >= 0.5 else "no",
    Printed.HOUR: lambda value: f"{value:02.0f}:00",
    Printed.DURATION: _duration,
    Printed.DAYS: lambda value: _plural(int(value), "day"),
    Printed.DISTANCE: lambda value: f"{value:,.0f} km",
    Printed.SPEED: lambda value: f"{value:,.0f} km/h",
}
