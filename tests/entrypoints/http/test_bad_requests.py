"""Every bad request of the table gets its exact status and pointers, and what was refused shows up nowhere."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.data.bad_requests import BAD_REQUESTS, CARDS, JSON, PAYMENT, VISA, BadRequest, arabic, wide
from tests.entrypoints.http.conftest import API_KEY, Server

_PROBLEM_TYPES = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid",
}


def send(client: httpx.Client, request: BadRequest) -> httpx.Response:
    """Send a request of the table as it stands there."""
    content = request.body if request.method not in ("GET", "DELETE") else None
    return client.request(request.method, request.path, content=content, headers=request.headers)


def test_table_is_as_large_as_it_must_be() -> None:
    """At least sixty bad requests, each with a name of its own."""
    assert len(BAD_REQUESTS) >= 60
    assert len({request.name for request in BAD_REQUESTS}) == len(BAD_REQUESTS)


@pytest.mark.parametrize("request_", BAD_REQUESTS, ids=[request.name for request in BAD_REQUESTS])
def test_bad_request_gets_its_exact_answer(server: Server, request_: BadRequest) -> None:
    """Status, problem type, pointers and Allow are those of the table, and each fault has a sentence."""
    with server.client() as client:
        answer = send(client, request_)
    body = answer.json()
    assert answer.status_code == request_.status, body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert body["type"].endswith(":" + _PROBLEM_TYPES[request_.status])
    assert body["status"] == request_.status
    found = body.get("errors")
    assert (None if found is None else tuple(fault["pointer"] for fault in found)) == request_.pointers, found
    assert all(fault["detail"] for fault in found or ())
    assert answer.headers.get("allow") == request_.allow


@pytest.mark.parametrize("request_", BAD_REQUESTS, ids=[request.name for request in BAD_REQUESTS])
def test_answer_never_repeats_what_was_refused(server: Server, request_: BadRequest) -> None:
    """No card number, and no long value of the body, comes back in body or headers."""
    with server.client() as client:
        answer = send(client, request_)
    shown = answer.text + str(answer.headers)
    assert not any(card in shown for card in CARDS)
    for value in _long_texts(request_.body):
        assert value not in shown


def _long_texts(body: bytes) -> list[str]:
    """Return the strings of a flat body that are too long to stand in an answer by chance."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(fields, dict):
        return []
    known = {str(value) for value in PAYMENT.values()}
    return [v for v in fields.values() if isinstance(v, str) and len(v) > 8 and v not in known]


def test_body_over_64_kib_is_refused_without_a_length(server: Server) -> None:
    """A chunked body is counted as it comes."""
    chunks = (b" " * 8192 for _ in range(9))
    with server.client() as client:
        answer = client.post("/transaction", content=chunks, headers=JSON)
    assert answer.status_code == 413


def test_body_of_exactly_64_kib_is_taken(server: Server) -> None:
    """The limit itself is allowed."""
    with server.client() as client:
        answer = client.post("/transaction", content=json.dumps(PAYMENT).ljust(64 * 1024).encode(), headers=JSON)
    assert answer.status_code == 201


def test_timestamp_six_minutes_ahead_is_refused_and_four_are_not(server: Server) -> None:
    """Five minutes are how far a sender's clock may be ahead."""
    now = datetime.now(UTC)
    statuses = []
    with server.client() as client:
        for minutes in (4, 6):
            at = (now + timedelta(minutes=minutes)).isoformat()
            statuses.append(client.post("/transaction", json={**PAYMENT, "timestamp": at}).status_code)
    assert statuses == [201, 422]


def test_no_card_number_reaches_the_disk_or_the_log(server: Server) -> None:
    """After every bad request of the table neither the database nor the log holds a card number in any writing."""
    with server.client() as client:
        for request in BAD_REQUESTS:
            send(client, request)
        kept = client.get("/transactions?user_id=bad_001&limit=500").json()["transactions"]
        metrics = client.get("/metrics").text
    files = [path for path in server.data_dir.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    written = [path.read_bytes() for path in files] + [server.log.read_bytes(), metrics.encode()]
    writings = {card.encode() for card in CARDS} | {b"4111 1111 1111 1111", b"4111-1111-1111-1111"}
    writings |= {wide(VISA).encode(), arabic(VISA).encode()}
    assert not [writing for writing in writings for data in written if writing in data]
    assert {payment["amount"] for payment in kept} <= {"12.50"}


def test_right_key_opens_what_a_tunnel_may_not(server: Server) -> None:
    """With a key, by its secret or as name:secret, neither the Host nor a proxy matters."""
    with server.client() as client:
        for key in (API_KEY, API_KEY.partition(":")[2]):
            headers = {"X-API-Key": key, "Host": "cardwatch.ngrok.app", "X-Forwarded-For": "203.0.113.9"}
            assert client.get("/transactions", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "prefer", ["respond-async", "Respond-Async", "wait=0", "foo=1, respond-async", "respond-async;x"]
)
def test_preference_not_to_wait_is_granted(server: Server, prefer: str) -> None:
    """A sender who does not wait is answered 202 with the place to look."""
    with server.client() as client:
        answer = client.post("/transaction", json=PAYMENT, headers={"Prefer": prefer})
    assert answer.status_code == 202
    assert answer.json()["status"] == "pending"
    assert answer.headers["location"] == f"/transaction/{answer.json()['transaction_id']}"


@pytest.mark.parametrize(
    "prefer", ["", "wait=5", "wait=999999", "respond-async, wait=10", 'wait="3"', "handling=lenient"]
)
def test_preference_to_wait_is_granted(server: Server, prefer: str) -> None:
    """A sender who waits, or says nothing that we know, gets the decision."""
    with server.client() as client:
        answer = client.post("/transaction", json=PAYMENT, headers={"Prefer": prefer})
    assert answer.status_code == 201


def test_preferences_in_two_headers_are_one_list(server: Server) -> None:
    """RFC 7240 lets a sender repeat the header."""
    with server.client() as client:
        headers = [("Prefer", "respond-async"), ("Prefer", "handling=lenient")]
        answer = client.post("/transaction", json=PAYMENT, headers=headers)
    assert answer.status_code == 202


def test_request_id_is_kept_if_it_is_harmless(server: Server) -> None:
    """A sender's own id comes back; one that could break a log line does not."""
    with server.client() as client:
        assert client.get("/healthz", headers={"X-Request-Id": "trace-0001"}).headers["x-request-id"] == "trace-0001"
        given = client.get("/healthz", headers={"X-Request-Id": "a b\tc" * 30}).headers["x-request-id"]
    assert given.isalnum()
