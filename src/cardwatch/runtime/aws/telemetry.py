"""Logs as JSON lines and metrics in CloudWatch's embedded metric format, both on standard output.

Names are those of the embedded home (`runtime/telemetry.py`), with a few that only this home has. Neither ever carries
a name, a number, an address or a text of a person.
"""

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog

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


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Write JSON lines, one event each; what libraries log goes the same way, from warnings on."""
    target = stream or sys.stdout
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _only_the_kind_of_error,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    # Libraries are heard from warnings on: below that they may repeat what people sent.
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def _only_the_kind_of_error(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Keep the type and place of an exception; its message may quote what a person sent."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["trace"] = _places(error)[-_FRAMES_MAX:]
    return event


def _places(error: BaseException) -> list[str]:
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('cardwatch/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places
