"""Who is let in: keys, hosts and forwarded headers, for every kind of path, on the edge itself."""

import asyncio
import json
from typing import Any

import pytest

from cardwatch.adapters.clock import SeededRandomness
from cardwatch.entrypoints.api_terms import waiting_ms
from cardwatch.entrypoints.http import asgi
from cardwatch.entrypoints.http.edge import Edge, respond
from cardwatch.entrypoints.http.problems import HttpProblem
from cardwatch.runtime.telemetry import PrometheusMetrics

SECRET = "0123456789abcdef"
KEYS = {"ops": SECRET, "shop": "fedcba9876543210"}


class Answer:
    """What the edge sent."""

    def __init__(self, messages: list[asgi.Message]) -> None:
        self.status: int = messages[0]["status"]
        self.headers: dict[bytes, bytes] = dict(messages[0]["headers"])
        self.body: bytes = b"".join(message.get("body", b"") for message in messages[1:])


async def welcome(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
    """Stand for the application: whoever gets here was let in; breaks where the path says so."""
    if scope["path"] == "/broken":
        raise KeyError("the card is 4111111111111111")
    if scope["path"] == "/conflict":
        raise HttpProblem(409, "taken")
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await respond(send, 200, str(len(body)).encode(), "text/plain", {})


def call(
    path: str = "/transactions",
    headers: dict[str, str] | None = None,
    *,
    client: tuple[str, int] | None = ("127.0.0.1", 5),
    api_keys: dict[str, str] | None = None,
    chunks: tuple[bytes, ...] = (b"",),
    exposed: bool = False,
) -> Answer:
    """Send one request through the edge."""
    sent: list[asgi.Message] = []
    waiting = [{"type": "http.request", "body": c, "more_body": n + 1 < len(chunks)} for n, c in enumerate(chunks)]

    async def receive() -> asgi.Message:
        return waiting.pop(0)

    async def send(message: asgi.Message) -> None:
        sent.append(message)

    given = {"Host": "127.0.0.1:8000", **(headers or {})}
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "client": client,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items() if value],
    }
    edge = Edge(
        welcome,
        api_keys=KEYS if api_keys is None else api_keys,
        exposed=exposed,
        metrics=PrometheusMetrics(),
        randomness=SeededRandomness(),
    )
    asyncio.run(edge(scope, receive, send))
    return Answer(sent)


HOSTS = {
    "127.0.0.1:8000": True,
    "localhost": True,
    "LOCALHOST:8000": True,
    "[::1]:8000": True,
    "127.0.0.1.example.com": False,
    "localhost.example.com": False,
    "cardwatch.ngrok.app": False,
    "169.254.169.254": False,
    "0.0.0.0": False,  # noqa: S104  what is refused here
    "[::1": False,
    "localhost@example.com": False,
    "": False,
}
FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def test_a_server_that_others_reach_wants_a_key_from_this_machine_too() -> None:
    """A proxy on this machine may pass requests on under a loopback name and without a word of whom they are from."""
    assert call("/accounts/u", exposed=True).status == 401
    assert call("/accounts/u", {"X-API-Key": next(iter(KEYS.values()))}, exposed=True).status == 200
    assert call("/webhook/twilio", exposed=True).status == 200


@pytest.mark.parametrize("host", sorted(HOSTS))
@pytest.mark.parametrize("forwarded", [None, *FORWARDED])
@pytest.mark.parametrize(
    "path", ["/transaction", "/accounts/u", "/metrics", "/readyz", "/docs", "/phone/+1/messages", "/"]
)
def test_without_a_key_only_this_machine_gets_in(host: str, forwarded: str | None, path: str) -> None:
    """By its loopback name, and not through anything that forwards."""
    headers = {"Host": host, **({forwarded: "127.0.0.1"} if forwarded else {})}
    answer = call(path, headers)
    local = HOSTS[host] and forwarded is None
    assert answer.status == (200 if local else 401)
    assert (b"www-authenticate" in answer.headers) is not local


@pytest.mark.parametrize("client", [("203.0.113.9", 5), ("::ffff:203.0.113.9", 5), None])
def test_loopback_host_from_elsewhere_gets_nobody_in(client: tuple[str, int] | None) -> None:
    """The Host header is the sender's word."""
    assert call(client=client).status == 401


@pytest.mark.parametrize("key", [SECRET, f"ops:{SECRET}", KEYS["shop"], f"shop:{KEYS['shop']}"])
def test_right_key_gets_in_from_anywhere(key: str) -> None:
    """As the secret alone or with its name."""
    headers = {"X-API-Key": key, "Host": "api.example.org", "X-Forwarded-For": "203.0.113.9"}
    assert call(headers=headers, client=("203.0.113.9", 5)).status == 200


@pytest.mark.parametrize(
    "key", [SECRET[:-1], SECRET + "0", SECRET.upper(), "ops", f"shop:{SECRET}", "é" * 16, f"ops:{SECRET} "]
)
@pytest.mark.parametrize("keys", [KEYS, {}])
def test_wrong_key_is_refused_even_on_this_machine(key: str, keys: dict[str, str]) -> None:
    """A key that is sent must be right; nothing of it comes back."""
    answer = call(headers={"X-API-Key": key}, api_keys=keys)
    assert answer.status == 403
    assert key.encode() not in answer.body


@pytest.mark.parametrize("path", ["/healthz", "/webhook/twilio", "/webhook/twilio/status"])
def test_signed_and_harmless_paths_need_no_key(path: str) -> None:
    """The provider has no key, and liveness tells nothing."""
    assert call(path, {"Host": "api.example.org"}, client=("203.0.113.9", 5)).status == 200


@pytest.mark.parametrize(
    "path", ["/healthz/", "/healthzz", "/webhook", "/Webhook/twilio", "//webhook/twilio", "/x/webhook/"]
)
def test_path_that_only_looks_exempt_needs_a_key(path: str) -> None:
    """Exact names only."""
    assert call(path, {"Host": "api.example.org"}, client=("203.0.113.9", 5)).status == 401


def test_unexpected_error_tells_nothing_of_its_inside() -> None:
    """The client gets an id to quote, not the fault."""
    answer = call("/broken")
    assert answer.status == 500
    assert b"4111" not in answer.body
    assert answer.headers[b"x-request-id"]


def test_expected_problem_keeps_its_status() -> None:
    """Whatever raises it."""
    answer = call("/conflict")
    assert (answer.status, json.loads(answer.body)["detail"]) == (409, "taken")


@pytest.mark.parametrize(
    ("chunks", "status"),
    [((b"x" * 65_536,), 200), ((b"x" * 65_537,), 413), ((b"x" * 32_768,) * 2, 200), ((b"x" * 32_768,) * 3, 413)],
)
def test_body_is_counted_as_it_comes(chunks: tuple[bytes, ...], status: int) -> None:
    """64 KiB and not a byte more, whatever its length was said to be."""
    assert call(chunks=chunks).status == status
    assert call(headers={"Content-Length": "5"}, chunks=chunks).status == status


def test_length_that_is_said_to_be_too_much_is_refused_unread() -> None:
    """Nobody waits for it."""
    assert call(headers={"Content-Length": "65537"}).status == 413


@pytest.mark.parametrize(
    ("prefer", "expected_ms"),
    [("", 500), ("respond-async", 0), ("RESPOND-ASYNC", 0), ("wait=2", 2000), ("wait = 2", 2000), ("wait=0", 0),
     ("wait=99999", 30_000),
     ("respond-async, wait=10", 10_000), ("wait=10, respond-async", 10_000), ("wait=-1", 500), ("wait=x", 500),
     ("await=3", 500), ("xrespond-async", 500), ("respond-asynchronously", 500), ("handling=lenient;wait=3", 3000),
     ("wait=1234567", 500), ("return=minimal", 500)],
)  # fmt: skip
def test_prefer_is_read_as_rfc_7240_says(prefer: str, expected_ms: int) -> None:
    """What is not understood is ignored; both preferences together wait first."""
    assert waiting_ms(prefer, 500) == expected_ms
