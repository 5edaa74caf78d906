"""Chance that depends on what it is about, not on when it is asked for.

A draw is a hash of the seed and of names. So the same holder answers the same question alike whatever else happens,
and two policies are compared on the same holders (common random numbers).
"""

import math
from hashlib import blake2b
from statistics import NormalDist

import msgspec

_NORMAL = NormalDist()
_STEPS = 1 << 53


class Chance(msgspec.Struct, frozen=True):
    """All draws of one seed."""

    seed: int

    def uniform(self, *about: object) -> float:
        """Return a number between 0 and 1, both excluded, that belongs to some names."""
        names = "\n".join(str(part) for part in (self.seed, *about))
        drawn = int.from_bytes(blake2b(names.encode(), digest_size=8).digest()) >> 11
        return (drawn + 0.5) / _STEPS

    def happens(self, share: float, *about: object) -> bool:
        """Say whether something that happens in this share of cases happens in this one."""
        return self.uniform(*about) < share

    def delay_ms(self, median_s: float, spread: float, *about: object) -> int:
        """Return a log-normal delay (ms) with a median in seconds and the standard deviation of its logarithm."""
        return round(1000 * median_s * math.exp(spread * _NORMAL.inv_cdf(self.uniform(*about))))

    def token(self, *about: object) -> str:
        """Return hexadecimal digits in the place of randomness."""
        return f"{int(self.uniform(*about) * _STEPS):014x}"
