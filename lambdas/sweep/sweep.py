"""FraudDetection-Sweep: expiry, escalation and what an invocation lost, by the clock."""

from collections.abc import Mapping
from typing import Any

from cardwatch.entrypoints.aws.cold_start import current_home
from cardwatch.entrypoints.aws.sweep import handle


def lambda_handler(event: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
    """Handle one event."""
    return handle(event, context, current_home())
