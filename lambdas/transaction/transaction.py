"""FraudDetection-Transaction: takes payments in (`POST /transaction`)."""

from collections.abc import Mapping
from typing import Any

from cardwatch.entrypoints.aws.serving import serve_event
from cardwatch.entrypoints.aws.transaction import handle


def lambda_handler(event: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
    """Handle one event."""
    return serve_event(handle, event, context)
