"""FraudDetection-Accounts: reads and writes accounts."""

from collections.abc import Mapping
from typing import Any

from cardwatch.entrypoints.aws.accounts import handle
from cardwatch.entrypoints.aws.serving import serve_event


def lambda_handler(event: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
    """Handle one event."""
    return serve_event(handle, event, context)
