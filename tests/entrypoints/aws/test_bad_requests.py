"""The same bad request gets the same answer in both homes: status, problem, faults, sentence for sentence."""

from collections.abc import Iterator

import httpx
import pytest

from tests.data.bad_requests import (
    ACCOUNTS,
    AMOUNTS,
    CARD_NUMBERS,
    CARDS,
    CONTENT_TYPES,
    FIELDS,
    LABELS,
    MALFORMED,
    QUERIES,
    ROUTES,
    SIZES,
    TIMES,
    WEBHOOKS,
    BadRequest,
)
from tests.entrypoints.aws.events import body_of
from tests.entrypoints.aws.homes import Cloud
from tests.support.server import ServerProcess, running_server

NOT_HERE = ("/phone/", "/healthz", "/nope", "/../")
"""Paths of the other home alone, and those that API Gateway answers itself."""

REQUESTS = tuple(
    request
    for request in (
        *MALFORMED, *AMOUNTS, *FIELDS, *TIMES, *CARD_NUMBERS, *ACCOUNTS, *LABELS, *QUERIES, *ROUTES, *CONTENT_TYPES,
        *SIZES, *WEBHOOKS,
    )
    if not request.path.startswith(NOT_HERE)
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve the embedded home."""
    with running_server(tmp_path_factory.mktemp("embedded")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    """Speak to it."""
    with httpx.Client(base_url=server.url, timeout=10, trust_env=False) as speaking:
        yield speaking


def test_table_is_fed_nearly_whole() -> None:
    """Only what the other home alone has is left out."""
    assert len(REQUESTS) > 200


@pytest.mark.parametrize("request_", REQUESTS, ids=[request.name for request in REQUESTS])
def test_both_homes_answer_alike(client: httpx.Client, request_: BadRequest) -> None:
    """And neither repeats what was refused."""
    content = request_.body if request_.method not in ("GET", "DELETE") else None
    embedded = client.request(request_.method, request_.path, content=content, headers=request_.headers)
    serverless = Cloud().call(request_.method, request_.path, content, headers=request_.headers, binary=True)
    assert serverless["statusCode"] == embedded.status_code == request_.status
    assert body_of(serverless) == embedded.json()
    assert serverless["headers"]["Content-Type"] == "application/problem+json"
    assert serverless["headers"].get("Allow") == embedded.headers.get("allow") == request_.allow
    assert not any(card in str(serverless) for card in CARDS)
