"""The environment, the clock and the randomness of a function's machine."""

import os
from collections.abc import Mapping

from cardwatch.adapters.clock import SystemClock, SystemRandomness
from cardwatch.ports import Clock, Randomness


def system_environment() -> Mapping[str, str]:
    """Return the process's environment."""
    return os.environ


def system_clock() -> Clock:
    """Return the machine's clock."""
    return SystemClock()


def system_randomness() -> Randomness:
    """Return the machine's source of ids and secrets."""
    return SystemRandomness()
