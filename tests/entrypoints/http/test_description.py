"""The API does what its description says: schemathesis looks for anything else, with all of its default checks."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from cardwatch.entrypoints.http.openapi import ROUTES
from tests.data.bad_requests import JSON, PAYMENT
from tests.entrypoints.http.conftest import Server

_EXAMPLES = 25
"""Of each operation and mode; more is for an evening."""


@pytest.fixture(scope="module")
def description(server: Server) -> dict[str, Any]:
    """Return the description as the server gives it."""
    with server.client() as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_schemathesis_finds_nothing(server: Server, tmp_path: Path) -> None:
    """Examples of every operation, allowed and forbidden, alone and one after the other, hold to the description."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json",
        "--seed", "1", "--max-examples", str(_EXAMPLES), "--workers", "1", "--no-color",
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.entrypoints.http.schemathesis_formats"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert int(re.findall(r"(\d+) generated", run.stdout)[0]) > 1000


def test_every_documented_route_is_served(server: Server) -> None:
    """No route of the description is unknown to the server, and none allows a method that it does not have."""
    with server.client() as client:
        for route in ROUTES:
            path = re.sub(r"\{\w+\}", "x", route.path)
            allowed = client.request("TRACE", path).headers["allow"].split(", ")
            assert route.method.upper() in allowed


def test_amounts_by_currency_are_described(description: dict[str, Any]) -> None:
    """A reader learns from the description alone that yen have no decimals and dinars three."""
    branches = json.dumps(description["components"]["schemas"]["Submission"]["allOf"])
    assert '"JPY"' in branches
    assert '"multipleOf": 0.001' in branches


def test_patterns_end_as_readers_of_the_description_expect(description: dict[str, Any]) -> None:
    r"""ECMA 262 knows no \\Z."""
    assert "\\\\Z" not in json.dumps(description)


def test_page_is_self_contained(server: Server) -> None:
    """The page of the description loads nothing from elsewhere."""
    with server.client() as client:
        page = client.get("/docs")
    assert page.status_code == 200
    assert not re.search(r"(src|href)=[\"'](https?:)?//", page.text)


def test_pages_of_payments_hold_each_payment_once(server: Server) -> None:
    """Following the cursor to its end meets every payment, newest first, and then stops."""
    with server.client() as client:
        ids = [_pay(client, f"page_{number}") for number in range(5)]
        found: list[str] = []
        cursor: dict[str, str] = {}
        for _ in range(3):
            page = client.get("/transactions", params={"user_id": "pager", "limit": "2", **cursor}).json()
            found += [payment["transaction_id"] for payment in page["transactions"]]
            cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert found == ids[::-1]
    assert not cursor


def test_same_payment_again_is_answered_200_and_another_409(server: Server) -> None:
    """A retry gets the stored result; other content under the same id is refused and changes nothing."""
    body = {**PAYMENT, "user_id": "retrier", "transaction_id": "retry_1"}
    with server.client() as client:
        first = client.post("/transaction", json=body)
        again = client.post("/transaction", content=json.dumps({**body, "amount": "12.50"}), headers=JSON)
        other = client.post("/transaction", json={**body, "amount": 12.51})
        stored = client.get("/transaction/retry_1").json()
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json() == again.json() == stored


def _pay(client: httpx.Client, transaction_id: str) -> str:
    answer = client.post("/transaction", json={**PAYMENT, "user_id": "pager", "transaction_id": transaction_id})
    assert answer.status_code == 201
    return transaction_id
