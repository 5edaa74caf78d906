"""API Gateway's proxy events (REST API, payload version 1.0) as requests, and our answers in its shape.

What API Gateway keeps: the method, the path as it was sent (percent-encoded, without the stage), all headers, the body
(base64 where a media type is declared binary). What it loses: the query as it was written. It hands on decoded names
and values, grouped by name; the order between different names, and whether a blank was "+" or "%20", are gone. A
signature covers the address as it was written, so `written_queries` gives each way in which it may have been: a
signature holds for at most one of them. The rest of a signed address is CARDWATCH_PUBLIC_URL and the path, never the
Host header.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus, unquote, urlencode

import msgspec

from cardwatch.domain.card_number import contains_card_number
from cardwatch.entrypoints.problem_details import MEDIA_TYPE, TITLES, HttpProblem, problem_body
from cardwatch.entrypoints.request_bodies import BODY_BYTES_MAX, TOO_LARGE

Event: TypeAlias = Mapping[str, Any]
"""An event as Lambda gives it: decoded JSON."""

JSON = "application/json"

ANY = "*"
"""As a route's method: each that no route before it takes."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")
_TEXT = re.compile(r"text/|application/(?:json|problem\+json)")

_encode = msgspec.json.Encoder().encode


class ApiRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the API."""

    method: str
    path: str
    """Percent-encoded as it came, below the public URL; without a slash at its end."""
    query: tuple[tuple[str, str], ...]
    """Decoded; values of one name in their order."""
    headers: dict[str, str]
    """By lower-case name; several of one name joined by commas."""
    body: bytes | None
    """None where API Gateway called something base64 that is not."""
    request_id: str
    """The sender's where it gave a usable one, else API Gateway's."""

    def read_body(self) -> bytes:
        """Return the body; raises HttpProblem 400 where it cannot be had, 413 where it is too large."""
        if self.body is None:
            raise HttpProblem(400, "the body cannot be read")
        if len(self.body) > BODY_BYTES_MAX:
            raise HttpProblem(413, TOO_LARGE)
        return self.body

    def written_queries(self) -> Iterator[str]:
        """Yield the ways in which the query may have been written in the address: "" or "?name=value&..."."""
        if not self.query:
            yield ""
            return
        for blank in (quote, quote_plus):
            yield "?" + urlencode(self.query, quote_via=blank, safe="")


class ApiResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One answer."""

    status: int = 200
    body: bytes = b""
    media_type: str = JSON
    headers: Mapping[str, str] = {}


Endpoint: TypeAlias = Callable[..., ApiResponse]
"""Takes the request and, by position, what the path has in the places of its parameters."""


class Route(msgspec.Struct, frozen=True):
    """A method and a path such as "/transaction/{id}"; "{rest+}" at the end takes any number of segments."""

    method: str
    pattern: str
    endpoint: Endpoint


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Return a value as JSON."""
    return ApiResponse(status=status, body=_encode(value), headers=headers or {})


def problem_response(problem: HttpProblem) -> ApiResponse:
    """Return an error as problem details."""
    return ApiResponse(
        status=problem.status, body=problem_body(problem), media_type=MEDIA_TYPE, headers=problem.headers
    )


def read_event(event: Event) -> ApiRequest:
    """Return the request of a proxy event."""
    headers = _headers(event)
    context = event.get("requestContext") or {}
    return ApiRequest(
        method=str(event.get("httpMethod") or "").upper(),
        path=_path(event),
        query=_query(event),
        headers=headers,
        body=_body(event),
        request_id=_request_id(headers.get("x-request-id", ""), str(context.get("requestId") or "")),
    )


def find_route(request: ApiRequest, routes: Sequence[Route]) -> tuple[Endpoint, tuple[str, ...]]:
    """Return the endpoint of a request and its path's parameters, decoded; raises HttpProblem 404 or 405."""
    allowed: list[str] = []
    for route in routes:
        parameters = _matched(route.pattern, request.path)
        if parameters is None:
            continue
        if route.method in (request.method, ANY):
            return route.endpoint, parameters
        allowed.append(route.method)
    if allowed:
        raise HttpProblem(405, TITLES[405][1], headers={"Allow": ", ".join(sorted(set(allowed)))})
    raise HttpProblem(404, TITLES[404][1])


def write_event(response: ApiResponse, *, request_id: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return an answer in the shape that API Gateway takes, with the request's id on it."""
    binary = _TEXT.match(response.media_type) is None
    body = base64.b64encode(response.body).decode("ascii") if binary else response.body.decode("utf-8")
    return {
        "statusCode": response.status,
        "headers": {
            **({"Content-Type": response.media_type} if response.body else {}),
            **response.headers,
            **(headers or {}),
            "X-Request-Id": request_id,
            "X-Content-Type-Options": "nosniff",
        },
        "body": body,
        "isBase64Encoded": binary,
    }


def _headers(event: Event) -> dict[str, str]:
    many = event.get("multiValueHeaders")
    if many:
        return {str(name).lower(): ",".join(map(str, values or ())) for name, values in many.items()}
    return {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}


def _path(event: Event) -> str:
    """Return the path below the public URL: a custom domain puts its own base path before it."""
    path = str(event.get("path") or "/")
    resource = str(event.get("resource") or "")
    segments = path.strip("/").split("/")
    if resource and "+}" not in resource:
        segments = segments[-len(resource.strip("/").split("/")) :]
    return "/" + "/".join(segments)


def _query(event: Event) -> tuple[tuple[str, str], ...]:
    many = event.get("multiValueQueryStringParameters")
    if many:
        return tuple((str(name), str(value)) for name, values in many.items() for value in values or ("",))
    return tuple((str(name), str(value)) for name, value in (event.get("queryStringParameters") or {}).items())


def _body(event: Event) -> bytes | None:
    body = event.get("body")
    if body is None:
        return b""
    raw = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
    if not event.get("isBase64Encoded"):
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error:
        return None


def _request_id(given: str, own: str) -> str:
    usable = _REQUEST_ID.fullmatch(given) is not None and not contains_card_number(given)
    return given if usable else own


def _matched(pattern: str, path: str) -> tuple[str, ...] | None:
    """Return what a path has in the places of a pattern's parameters, None if it does not fit."""
    wanted, given = pattern.strip("/").split("/"), path.strip("/").split("/")
    rest: tuple[str, ...] = ()
    if wanted[-1].endswith("+}"):
        fixed = len(wanted) - 1
        rest, given, wanted = ("/".join(given[fixed:]),), given[:fixed], wanted[:fixed]
    if len(wanted) != len(given):
        return None
    pairs = list(zip(wanted, given, strict=True))
    if any(want != have for want, have in pairs if not want.startswith("{")):
        return None
    parameters = [have for want, have in pairs if want.startswith("{")]
    return tuple(unquote(part) for part in (*parameters, *rest))
