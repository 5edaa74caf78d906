"""FraudDetection-UserResponse: shows and lists payments, takes labels and the answers to links."""

from collections.abc import Mapping
from typing import Any

from cardwatch.entrypoints.aws.serving import serve_event
from cardwatch.entrypoints.aws.user_response import handle


def lambda_handler(event: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
    """Handle one event."""
    return serve_event(handle, event, context)
