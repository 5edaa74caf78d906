"""Leaving out genuine payments: frauds are rare and all stay, of the others a known share tells enough."""

import numpy as np
from numpy.typing import NDArray

from cardwatch.learning.metrics import Floats, Integers, Labels

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def kept_rows(frauds: Labels, *, share: float, seed: int) -> Integers:
    """Return the numbers of the rows that stay, rising: all frauds, and of the others about `share` (0 to 1).

    A row stays or not by the hash of its number and the seed, on every platform alike.
    """
    numbers = np.arange(len(frauds), dtype=np.uint64)
    below = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    return np.flatnonzero((frauds == 1) | (_hashed(numbers, seed) < below) | (share >= 1))


def row_weights(frauds: Labels, *, share: float, fraud_weight: float) -> Floats | None:
    """Return what each kept row counts, None where all count the same.

    A genuine row counts for those that were left out, 1 / share, so that probabilities stay what they are.
    """
    if share >= 1 and fraud_weight == 1:
        return None
    return np.where(frauds == 1, fraud_weight, 1 / share)


def _hashed(numbers: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014)."""
    state = numbers + np.uint64(1)
    state = (state + np.uint64(seed % 2**32) * np.uint64(0x1000003D)) * _GOLDEN
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
