"""Drawing from skewed distributions by integer tables, so that no platform's mathematics library has a say.

The tables are rounded quantiles; a draw is one look-up at a uniform index.
"""

import math
from bisect import bisect
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from random import Random
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")

STEPS = 4096
"""Entries of a quantile table; the outermost lie 3.7 standard deviations from the middle."""


def seeded(*parts: int | str) -> Random:
    """Make the generator that belongs to some names and numbers, the same on every platform."""
    return Random(":".join(str(part) for part in parts))  # noqa: S311  made-up payments keep no secrets


@cache
def log_normal_multiples(spread_hundredths: int) -> tuple[int, ...]:
    """Return the quantiles of a log-normal with median 1 and the given log standard deviation, in thousandths."""
    normal, spread = NormalDist(), spread_hundredths / 100
    quantiles = (round(normal.inv_cdf((step + 0.5) / STEPS), 6) for step in range(STEPS))
    return tuple(round(1000 * round(math.exp(spread * quantile), 6)) for quantile in quantiles)


def log_normal(generator: Random, median: int, spread_hundredths: int) -> int:
    """Draw an integer of at least 1 around a median, log-normally."""
    drawn = log_normal_multiples(spread_hundredths)[int(generator.random() * STEPS)]
    return max(1, median * drawn // 1000)


@cache
def _exponential_of_minus(mean_tenths: int) -> float:
    return round(math.exp(-mean_tenths / 10), 9)


def count(generator: Random, mean_tenths: int) -> int:
    """Draw a Poisson count with a mean given in tenths (Knuth's product of uniforms)."""
    limit, product, drawn = _exponential_of_minus(mean_tenths), generator.random(), 0
    while product > limit:
        product *= generator.random()
        drawn += 1
    return drawn


@cache
def _zipf_cumulative(size: int) -> tuple[float, ...]:
    return tuple(accumulate(1 / (rank + 1) for rank in range(size)))


def zipf(generator: Random, items: Sequence[T]) -> T:
    """Draw an item; the one at rank n is n times as rare as the first."""
    cumulative = _zipf_cumulative(len(items))
    return items[bisect(cumulative, generator.random() * cumulative[-1])]


def pick(generator: Random, items: Sequence[T]) -> T:
    """Draw an item, each alike."""
    return items[int(generator.random() * len(items))]


def between(generator: Random, low: int, high: int) -> int:
    """Draw an integer from low to high, both included."""
    return low + int(generator.random() * (high - low + 1))


class Weighted:
    """Items with integer weights, ready to draw from."""

    def __init__(self, weights: Sequence[tuple[str, int]]) -> None:
        self.items = tuple(item for item, weight in weights if weight > 0)
        self._cumulative = tuple(accumulate(weight for _, weight in weights if weight > 0))

    def draw(self, generator: Random) -> str:
        """Draw an item by weight."""
        return self.items[bisect(self._cumulative, int(generator.random() * self._cumulative[-1]))]


def weights(text: str) -> Weighted:
    """Read weighted items from text: "coffee:14 groceries:12"."""
    return Weighted([(item, int(weight)) for item, weight in (entry.split(":") for entry in text.split())])
