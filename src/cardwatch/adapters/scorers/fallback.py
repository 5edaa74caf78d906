"""A scorer that may be down, backed by one that is at hand: a payment is scored either way, and the record says how.

What the second one scored has the version "...; fallback". A first one that keeps failing is left alone for a while,
so that not every payment pays its timeout.
"""

import logging
import threading
from collections.abc import Sequence

from cardwatch.domain.decision import FALLBACK_MARK, Explanation, Reason
from cardwatch.domain.errors import OperatingError
from cardwatch.ports import Clock, Scorer

FAILURES_MAX = 3
"""Failures in a row after which the first scorer is left alone."""

REST_MS = 30_000
"""For how long; one payment then tries it again."""

_log = logging.getLogger(__name__)


class _Last(threading.local):
    version: str | None = None
    stood_in: bool = False


class FallbackScorer:
    """Scores with `first`, else with `second`; may be used by several threads if both may."""

    def __init__(self, first: Scorer, second: Scorer, *, clock: Clock, rest_ms: int = REST_MS) -> None:
        """Take two scorers over the same feature definition, else ValueError; the threshold is that of the first."""
        if first.spec_hash != second.spec_hash:
            raise ValueError("both scorers must be of one feature definition")
        self.spec_hash: str = first.spec_hash
        self.threshold: float = first.threshold
        self._first, self._second, self._clock, self._rest_ms = first, second, clock, rest_ms
        self._last = _Last()
        self._lock = threading.Lock()
        self._failures = 0
        self._resting_until_ms = 0

    @property
    def model_version(self) -> str:
        """The model of this thread's last score; before the first, the first scorer's."""
        return self._last.version or self._first.model_version

    @model_version.setter
    def model_version(self, version: str) -> None:
        """Set it for this thread; the port has it as an attribute."""
        self._last.version = version

    def score(self, vector: Sequence[float]) -> float:
        """Return the probability of fraud, 0..1; raises ScorerUnavailable when neither scorer can say."""
        score = self._of_first(vector)
        if score is not None:
            self._last.version, self._last.stood_in = self._first.model_version, False
            return score
        score = self._second.score(vector)
        self._last.version, self._last.stood_in = self._second.model_version + FALLBACK_MARK, True
        return score

    def reasons(self, vector: Sequence[float], *, currency: str) -> tuple[Reason, ...]:
        """Return the reasons of the model that scored, at hand if it can be; raises ScorerUnavailable."""
        return self._explainer().reasons(vector, currency=currency)

    def explain(self, vector: Sequence[float], *, currency: str) -> Explanation:
        """Return the explanation of the model that scored, at hand if it can be; raises ScorerUnavailable."""
        return self._explainer().explain(vector, currency=currency)

    def _explainer(self) -> Scorer:
        """Return the second scorer where it scored or is the same model: it answers in a millisecond, from here."""
        at_hand = self._last.stood_in or self.model_version == self._second.model_version
        return self._second if at_hand else self._first

    def _of_first(self, vector: Sequence[float]) -> float | None:
        if not self._may_try():
            return None
        try:
            score = self._first.score(vector)
        except OperatingError as error:
            self._failed(str(error))
            return None
        with self._lock:
            self._failures = self._resting_until_ms = 0
        return score

    def _may_try(self) -> bool:
        with self._lock:
            if self._failures < FAILURES_MAX:
                return True
            now_ms = self._clock.now_ms()
            if now_ms < self._resting_until_ms:
                return False
            self._resting_until_ms = now_ms + self._rest_ms  # this one tries, others wait for what comes of it
            return True

    def _failed(self, cause: str) -> None:
        with self._lock:
            self._failures += 1
            failures = self._failures
            if failures >= FAILURES_MAX:
                self._resting_until_ms = self._clock.now_ms() + self._rest_ms
        _log.warning("scored by fallback: %s (%d in a row)", cause, failures)
