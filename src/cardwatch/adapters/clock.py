"""Time and randomness: the system's for production, fixed and seeded ones for tests and simulations."""

import random
import secrets
import time
from collections.abc import Callable


class SystemClock:
    """The machine's wall clock; while that was set back, half as fast as real time until the two meet.

    It never stands still: questions must expire, whatever a time server did to the wall clock.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._latest_ns = wall_ns()
        self._read_at_ns = monotonic_ns()

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z; never decreases."""
        read_at_ns = self._monotonic_ns()
        slowed_ns = self._latest_ns + (read_at_ns - self._read_at_ns) // 2
        self._read_at_ns = read_at_ns
        self._latest_ns = max(slowed_ns, self._wall_ns())
        return self._latest_ns // 1_000_000


class FixedClock:
    """A clock that moves only when told to."""

    def __init__(self, now_ms: int = 1_790_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z, as last set."""
        return self._now_ms

    def advance(self, duration_ms: int) -> int:
        """Let that many milliseconds (>= 0) pass; returns the new time."""
        if duration_ms < 0:
            raise ValueError("time does not run backwards")
        self._now_ms += duration_ms
        return self._now_ms


class SystemRandomness:
    """The operating system's generator."""

    def token(self, length_bytes: int) -> str:
        """Lowercase hexadecimal digits of that many random bytes, unpredictable to outsiders."""
        return secrets.token_hex(length_bytes)


class SeededRandomness:
    """The same tokens for the same seed; for tests and simulations, never for secrets."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def token(self, length_bytes: int) -> str:
        """Lowercase hexadecimal digits of that many bytes."""
        return self._random.randbytes(length_bytes).hex()
