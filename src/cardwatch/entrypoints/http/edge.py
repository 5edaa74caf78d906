"""What every request passes first: its id, the size of its body, its API key; and what is counted of it.

Plain ASGI, because it stands before the framework and costs every request.
"""

import hmac
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

import structlog

from cardwatch.domain.card_number import contains_card_number
from cardwatch.entrypoints.http.asgi import Application, Message, Receive, Scope, Send
from cardwatch.entrypoints.http.bodies import BODY_BYTES_MAX
from cardwatch.entrypoints.http.problems import MEDIA_TYPE, HttpProblem, problem_body, problem_of
from cardwatch.ports import Metrics, Randomness
from cardwatch.runtime.settings import is_loopback

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{8,64}")
_FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip")

_log = structlog.get_logger("cardwatch.http")


class Edge:
    """Wraps the application."""

    def __init__(
        self, app: Application, *, api_keys: Mapping[str, str], exposed: bool, metrics: Metrics, randomness: Randomness
    ) -> None:
        """`exposed` says that others reach this server too: then even a request from this machine needs a key.

        A proxy's requests come from this machine, and not every proxy says for whom.
        """
        self._app = app
        self._keys = [value.encode() for name, secret in api_keys.items() for value in (secret, f"{name}:{secret}")]
        self._exposed = exposed
        self._metrics = metrics
        self._randomness = randomness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; the lifespan passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        own = not _REQUEST_ID.fullmatch(given) or contains_card_number(given.decode("ascii"))
        request_id = self._randomness.token(8).encode() if own else given
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        try:
            self._admit(scope, headers)
            if scope["method"] == "OPTIONS":
                scope["method"] = "TRACE"  # the framework's own answer to it forgets methods; nothing here needs one
            await self._app(scope, _Limited(receive, headers).receive, send_with_id)
        except Exception as error:  # noqa: BLE001  the outermost place: whatever happened, the client gets an answer
            problem = problem_of(error)
            if problem.status >= 500:
                _log.error("request_failed", path=_route(scope), error=type(error).__name__, exc_info=error)
            if not status:
                await respond(send_with_id, problem.status, problem_body(problem), MEDIA_TYPE, problem.headers)
        finally:
            self._observe(scope, status, time.perf_counter() - started)
            structlog.contextvars.clear_contextvars()

    def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        path = scope["path"]
        if path == "/healthz" or path.startswith(("/webhook/", "/answer/")):
            return
        key = headers.get(b"x-api-key")
        if key is not None:
            if not sum(hmac.compare_digest(key, known) for known in self._keys):  # all are compared, always
                raise HttpProblem(403, "the API key is not known")
            return
        if self._exposed or not _is_local(scope, headers):
            raise HttpProblem(401, "send an API key in X-API-Key", headers={"WWW-Authenticate": "X-API-Key"})

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        self._metrics.count("http_requests_total", {"method": _method(scope), "route": route, "status": str(status)})
        if route != _STREAM:
            self._metrics.observe("http_request_seconds", seconds, {"route": route})
        _log.debug("request", method=_method(scope), route=route, status=status, ms=round(seconds * 1000, 2))


class _Limited:
    """Receives a body of at most `BODY_BYTES_MAX`."""

    def __init__(self, receive: Receive, headers: dict[bytes, bytes]) -> None:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > BODY_BYTES_MAX:
            raise HttpProblem(413, f"the body may have at most {BODY_BYTES_MAX} bytes")
        self._receive = receive
        self._seen = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            if self._seen > BODY_BYTES_MAX:
                raise HttpProblem(413, f"the body may have at most {BODY_BYTES_MAX} bytes")
        return message


async def respond(send: Send, status: int, body: bytes, media_type: str, headers: Mapping[str, str]) -> None:
    """Send a whole answer."""
    raw = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    raw += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _is_local(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Say whether a request comes from this machine and not through a tunnel or a proxy on it."""
    client = scope.get("client")
    return (
        client is not None
        and _address_is_loopback(client[0])
        and _host_is_loopback(headers.get(b"host", b""))
        and not any(name in headers for name in _FORWARDED)
    )


@lru_cache(maxsize=256)
def _address_is_loopback(address: str) -> bool:
    return is_loopback(address)


@lru_cache(maxsize=256)
def _host_is_loopback(host: bytes) -> bool:
    if any(mark in host for mark in b"@/?#\\"):  # what hides a name behind another is no Host
        return False
    try:
        return is_loopback(urlsplit("//" + host.decode("latin-1")).hostname or "")
    except ValueError:  # "[" opens an address that never ends
        return False


_ROUTES = re.compile(
    r"/(transactions?|accounts|phone|webhook/twilio/status|webhook/twilio|answer|healthz|readyz|metrics|docs|events|static)(/|$)"
)
_STREAM = "/events"
"""Its requests last as long as someone looks; their time says nothing of the server."""


def _route(scope: Scope) -> str:
    """Name the route without the ids in it, for metrics and logs."""
    found = _ROUTES.match(scope["path"])
    return f"/{found.group(1)}" if found else "other"


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in ("GET", "POST", "PUT", "DELETE") else "other"
