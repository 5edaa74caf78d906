"""Counting by labels."""

from cardwatch.runtime.telemetry import PrometheusMetrics


def test_each_set_of_labels_is_counted_on_its_own() -> None:
    """The same labels in another order are the same; other values are others."""
    metrics = PrometheusMetrics()
    metrics.count("decisions_total", {"outcome": "approve", "by": "threshold"})
    metrics.count("decisions_total", {"by": "threshold", "outcome": "approve"}, 2)
    metrics.count("decisions_total", {"outcome": "challenge", "by": "threshold"})
    printed = metrics.exposition().decode()
    assert 'cardwatch_decisions_total{by="threshold",outcome="approve"} 3.0' in printed
    assert 'cardwatch_decisions_total{by="threshold",outcome="challenge"} 1.0' in printed


def test_metrics_without_labels_are_observed_too() -> None:
    """A histogram that has no labels takes values as it is."""
    metrics = PrometheusMetrics()
    metrics.observe("fraud_score", 0.25)
    metrics.observe("http_request_seconds", 0.003, {"route": "/transaction"})
    printed = metrics.exposition().decode()
    assert "cardwatch_fraud_score_count 1.0" in printed
    assert 'cardwatch_http_request_seconds_count{route="/transaction"} 1.0' in printed
