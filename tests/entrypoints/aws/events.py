"""Events as AWS makes them: proxy events of a REST API, stream batches, queue messages; and Lambda's context."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

RESOURCES = (
    "/transaction",
    "/transactions",
    "/transaction/{id}",
    "/transaction/{id}/reasons",
    "/transaction/{id}/label",
    "/accounts",
    "/accounts/{user_id}",
    "/accounts/{user_id}/hold",
    "/webhook/twilio",
    "/webhook/twilio/status",
    "/answer/{token}",
    "/healthz",
)


@dataclass
class FakeContext:
    """Lambda's context of one invocation."""

    aws_request_id: str = "invocation-0001"
    left_ms: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still take."""
        return self.left_ms


def proxy_event(
    method: str,
    target: str,
    body: bytes | str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    stage: str = "prod",
    binary: bool = False,
    base_path: str = "",
) -> dict[str, Any]:
    """Return the event of a request: `target` is path and query as they stand in the request line.

    API Gateway keeps the path encoded and hands on the query decoded and grouped by name.
    """
    parts = urlsplit(target)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    resource, parameters = resource_of(parts.path)
    raw = body.encode() if isinstance(body, str) else body
    encoded = None if raw is None else base64.b64encode(raw).decode() if binary else raw.decode("utf-8", "replace")
    given = {"Host": "abc123.execute-api.us-east-2.amazonaws.com", **(headers or {})}
    return {
        "resource": resource,
        "path": base_path + parts.path,
        "httpMethod": method,
        "headers": given,
        "multiValueHeaders": {name: [value] for name, value in given.items()},
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": many or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "path": f"/{stage}{parts.path}",
            "httpMethod": method,
            "stage": stage,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"sourceIp": "203.0.113.9", "userAgent": "test"},
        },
        "body": encoded,
        "isBase64Encoded": binary and raw is not None,
    }


def resource_of(path: str) -> tuple[str, dict[str, str]]:
    """Return the resource that API Gateway would find for a path, "/{proxy+}" for others, and its parameters."""
    given = path.strip("/").split("/")
    for resource in RESOURCES:
        wanted = resource.strip("/").split("/")
        if len(wanted) == len(given) and all(w.startswith("{") or w == g for w, g in zip(wanted, given, strict=True)):
            return resource, {w.strip("{}"): g for w, g in zip(wanted, given, strict=True) if w.startswith("{")}
    return "/{proxy+}", {"proxy": path.strip("/")}


def stream_event(*records: Mapping[str, Any]) -> dict[str, Any]:
    """Return a batch of stream records."""
    return {"Records": list(records)}


def stream_record(
    transaction_id: str, *, number: int = 1, name: str = "INSERT", status: str = "pending"
) -> dict[str, Any]:
    """Return the stream record of a payment's item."""
    keys = {"transaction_id": {"S": transaction_id}}
    return {
        "eventID": f"event-{number}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-2",
        "eventSourceARN": "arn:aws:dynamodb:us-east-2:123456789012:table/FraudDetection-Transactions/stream/2026",
        "dynamodb": {
            "Keys": keys,
            "NewImage": {**keys, "status": {"S": status}},
            "SequenceNumber": str(number),
            "SizeBytes": 100,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }


def stream_of(transaction_ids: Iterable[str]) -> dict[str, Any]:
    """Return a batch of new payments, numbered from 1."""
    return stream_event(*(stream_record(each, number=number) for number, each in enumerate(transaction_ids, 1)))


def body_of(answer: Mapping[str, Any]) -> Any:
    """Return the JSON of an answer."""
    return json.loads(answer["body"])
