"""FraudDetection-Notify: sends the messages that it is woken for."""

from collections.abc import Mapping
from typing import Any

from cardwatch.entrypoints.aws.cold_start import current_home
from cardwatch.entrypoints.aws.notify import handle


def lambda_handler(event: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
    """Handle one event."""
    return handle(event, context, current_home())
