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


class Explainer:
    """Puts one payment's features into words."""

    def __init__(
        self, features: Sequence[Feature], medians: Sequence[float | None], values: Mapping[str, float], currency: str
    ) -> None:
        """`features` are the model's, in its order, with the `medians` that tell high values from low.

        `values` are all that were computed, by name: what is usual may be a feature that the model does not use.
        """
        self.features = features
        self._medians = medians
        self._values = values
        self._currency = currency

    def known(self, at: int) -> bool:
        """Say whether the payment has a value of a feature that can be printed."""
        return math.isfinite(self._values[self.features[at].name])

    def reason(self, at: int, contribution: float) -> Reason:
        """Put a feature into words; `contribution` is what it added to the margin."""
        feature = self.features[at]
        if not self.known(at):
            return Reason(feature.code, feature.name, None, None, contribution, f"{_words(feature)}: not known")
        value = self._values[feature.name]
        printed = print_value(value, feature.printed, self._currency)
        usual = _usual(feature, self._values, self._currency)
        template = _template(feature, value, self._medians[at])
        if usual is None:
            template = _USUAL_ASIDE.sub("", template)
        return Reason(
            feature.code, feature.name, printed, usual, contribution, template.format(value=printed, usual=usual)
        )


def strongest(explainer: Explainer, contributions: Sequence[float]) -> tuple[Reason, ...]:
    """Return up to `REASONS_MAX` reasons: those towards fraud first, then those against it, each strongest first.

    Of features that say the same (one code) the strongest speaks; features without a value say nothing.
    """
    order = sorted(range(len(contributions)), key=lambda at: -contributions[at])
    towards = [at for at in order if contributions[at] >= CONTRIBUTION_MIN]
    against = [at for at in reversed(order) if contributions[at] <= -CONTRIBUTION_MIN]
    reasons: dict[str, Reason] = {}
    for at in [*towards, *against]:
        code = explainer.features[at].code
        if not explainer.known(at) or code in reasons:
            continue
        reasons[code] = explainer.reason(at, contributions[at])
        if len(reasons) == REASONS_MAX:
            break
    return tuple(reasons.values())


def every(explainer: Explainer, contributions: Sequence[float]) -> tuple[Reason, ...]:
    """Return what each feature added, strongest first, those without a value or an effect among them."""
    order = sorted(range(len(contributions)), key=lambda at: -abs(contributions[at]))
    return tuple(explainer.reason(at, contributions[at]) for at in order)


def _template(feature: Feature, value: float, median: float | None) -> str:
    """Choose the sentence for a high or a low value; where nobody knows what is high, say the value alone."""
    if feature.printed is Printed.FLAG:
        return feature.text if value >= 0.5 else feature.text_low
    if median is None and feature.text != feature.text_low:
        return f"{_words(feature)}: {{value}}" + (" (usual: {usual})" if feature.usual else "")
    return feature.text if median is None or value >= median else feature.text_low


def _words(feature: Feature) -> str:
    return feature.name.replace("_", " ").capitalize()


def _usual(feature: Feature, values: Mapping[str, float], currency: str) -> str | None:
    """Print the feature that holds the usual value; it is money where its name says amount or sum, else a rate."""
    usual = values.get(feature.usual, math.nan) if feature.usual else math.nan
    if feature.usual is None or not math.isfinite(usual):
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
