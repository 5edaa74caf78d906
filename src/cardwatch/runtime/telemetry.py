"""Metrics for Prometheus. They never carry a name, a number, an address or a text of a person."""

from collections.abc import Mapping
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

_COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "decisions_total": ("Payments decided", ("outcome", "by")),
    "http_requests_total": ("HTTP requests answered", ("method", "route", "status")),
    "replies_total": ("Replies from cardholders", ("outcome",)),
    "challenges_total": ("Challenges by what became of them", ("outcome",)),
    "messages_total": ("Messages handed to their providers, by result", ("channel", "kind", "result")),
    "provider_alarms_total": ("Messages refused until an operator acts", ("channel",)),
    "labels_applied_total": ("Labels that feature state has taken up: fraud, or no longer", ("change",)),
    "dead_letters_total": ("Things set aside because they could not be handled", ("consumer",)),
}

MetricOf = TypeVar("MetricOf", Counter, Histogram)

_FAST_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)

_HISTOGRAMS: dict[str, tuple[str, tuple[str, ...], tuple[float, ...]]] = {
    "http_request_seconds": ("Time to answer a request", ("route",), _FAST_S),
    "decision_seconds": ("Time from receipt of a payment to its decision", (), _FAST_S),
    "fraud_score": ("Scores given", (), (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99)),
}


class PrometheusMetrics:
    """The Metrics port over one Prometheus registry."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when a counter began says nothing here, and doubles what is scraped
        self.registry = CollectorRegistry()
        self._counters = {
            name: Counter(f"cardwatch_{name}", text, labels, registry=self.registry)
            for name, (text, labels) in _COUNTERS.items()
        }
        self._histograms = {
            name: Histogram(f"cardwatch_{name}", text, labels, buckets=buckets, registry=self.registry)
            for name, (text, labels, buckets) in _HISTOGRAMS.items()
        }
        self._children: dict[tuple[str, tuple[tuple[str, str], ...]], Any] = {}
        self._writer_waiting = Gauge("cardwatch_writer_waiting", "Jobs that wait to be written", registry=self.registry)
        self._positions = Gauge(
            "cardwatch_consumer_position", "Position in the change log", ("consumer",), registry=self.registry
        )

    def count(self, name: str, labels: Mapping[str, str] | None = None, amount: int = 1) -> None:
        """Add to a counter of the table above."""
        self._of(self._counters, name, labels).inc(amount)

    def observe(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        """Record a value in a histogram of the table above."""
        self._of(self._histograms, name, labels).observe(value)

    def _of(self, table: Mapping[str, MetricOf], name: str, labels: Mapping[str, str] | None) -> MetricOf:
        """Return a metric, or its part with these labels; remembered, because the library's own lookup costs 2 us."""
        if not labels:
            return table[name]
        key = (name, tuple(labels.items()))
        child: MetricOf | None = self._children.get(key)
        if child is None:
            child = self._children[key] = table[name].labels(**labels)
        return child

    def gauge(self, *, writer_waiting: int, positions: Mapping[str, int]) -> None:
        """Set what is read off at scrape time."""
        self._writer_waiting.set(writer_waiting)
        for consumer, position in positions.items():
            self._positions.labels(consumer).set(position)

    def exposition(self) -> bytes:
        """Print all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
