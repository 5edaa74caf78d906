"""FraudDetection-Score with a SageMaker endpoint, and the model at hand behind it."""

from collections.abc import Mapping
from typing import Any

from cardwatch.entrypoints.aws.cold_start import current_home
from cardwatch.entrypoints.aws.score import handle_with_endpoint


def lambda_handler(event: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
    """Handle one event."""
    return handle_with_endpoint(event, context, current_home())
