"""Metrics in CloudWatch's embedded metric format, on standard output.

Names are those of the embedded home (`runtime/telemetry.py`), with a few that only this home has. They never carry
a name, a number, an address or a text of a person.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from cardwatch.ports import Clock

COUNTERS: Mapping[str, tuple[str, ...]] = {
    "decisions_total": ("outcome", "by"),
    "http_requests_total": ("method", "route", "status"),
    "replies_total": ("outcome",),
    "challenges_total": ("outcome",),
    "messages_total": ("channel", "kind", "result"),
    "provider_alarms_total": ("channel",),
    "labels_applied_total": ("change",),
    "dead_letters_total": ("consumer",),
    "stream_records_total": ("result",),
    "state_races_total": (),
    "notify_invocations_total": ("result",),
}
"""Labels of each counter. The last three are this home's own: what became of stream records, writes that
were worked out again because another one was first, and whether Notify was woken."""

UNITS: Mapping[str, str] = {"http_request_seconds": "Seconds", "decision_seconds": "Seconds", "fraud_score": "None"}
"""Measured values and their CloudWatch units."""

ALARMED = frozenset({"decisions_total", "dead_letters_total", "provider_alarms_total", "messages_total"})
"""Counters that are also kept without labels: alarms on a sum cannot add up dimensions."""

_VALUES_MAX = 100
"""Values of one metric in one line (CloudWatch, embedded metric format specification)."""

_FRAMES_MAX = 8


class EmfMetrics:
    """The Metrics port; what was counted leaves as log lines when an invocation ends."""

    def __init__(self, *, clock: Clock, namespace: str = "Cardwatch", stream: TextIO | None = None) -> None:
        """Write to a stream, by default to standard output, which Lambda hands to CloudWatch."""
        self._clock = clock
        self._namespace = namespace
        self._stream = stream
        self._counts: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        self._values: dict[str, list[float]] = {}

    def count(self, name: str, labels: Mapping[str, str] | None = None, amount: int = 1) -> None:
        """Add to a counter of the table above."""
        labels = labels or {}
        if tuple(labels) != COUNTERS[name]:
            raise ValueError(f"{name} has the labels {', '.join(COUNTERS[name])}")
        key = (name, tuple(labels.items()))
        self._counts[key] = self._counts.get(key, 0) + amount

    def observe(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        """Record a value; labels of measured values are left out: each would be a metric of its own, and paid for."""
        del labels
        if name not in UNITS:
            raise ValueError(f"{name} is not measured here")
        self._values.setdefault(name, []).append(value)

    def flush(self) -> None:
        """Write what was counted since the last time."""
        counts, self._counts = self._counts, {}
        values, self._values = self._values, {}
        for (name, labels), amount in counts.items():
            self._write({name: amount}, labels, unit="Count", bare=name in ALARMED)
        for name, observed in values.items():
            for start in range(0, len(observed), _VALUES_MAX):
                self._write({name: observed[start : start + _VALUES_MAX]}, (), unit=UNITS[name], bare=False)

    def _write(self, metric: Mapping[str, Any], labels: tuple[tuple[str, str], ...], *, unit: str, bare: bool) -> None:
        dimensions = [[name for name, _ in labels], *([[]] if bare and labels else [])]
        line = {
            "_aws": {
                "Timestamp": self._clock.now_ms(),
                "CloudWatchMetrics": [
                    {
                        "Namespace": self._namespace,
                        "Dimensions": dimensions,
                        "Metrics": [{"Name": name, "Unit": unit} for name in metric],
                    }
                ],
            },
            **dict(labels),
            **metric,
        }
        stream = self._stream or sys.stdout
        stream.write(json.dumps(line, separators=(",", ":")) + "\n")
        stream.flush()
