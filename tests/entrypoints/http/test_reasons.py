"""Reasons come with what was not approved, and on demand with everything that a model scored."""

import math

import pytest

from tests.data.bad_requests import PAYMENT
from tests.entrypoints.http.conftest import Server


def test_reasons_of_any_scored_payment_add_up_to_its_score(server: Server) -> None:
    """Base and contributions are the margin, its logistic function the stored score."""
    with server.client() as client:
        paid = client.post("/transaction", json={**PAYMENT, "transaction_id": "reasons_1"}).json()
        answer = client.get("/transaction/reasons_1/reasons")
    told = answer.json()
    assert answer.status_code == 200
    total = math.fsum((told["base"], *(reason["contribution"] for reason in told["reasons"])))
    assert total == pytest.approx(told["margin"], rel=1e-9)
    assert 1 / (1 + math.exp(-told["margin"])) == pytest.approx(paid["fraud_score"], rel=1e-9)
    assert told["model_version"] == paid["model_version"]
    ways = {"towards_fraud": 1, "against_fraud": -1, None: 0}
    for reason in told["reasons"]:
        assert math.copysign(1, reason["contribution"]) * bool(reason["contribution"]) == ways[reason["direction"]]


def test_reasons_of_an_unknown_payment_are_404(server: Server) -> None:
    """As the payment itself is."""
    with server.client() as client:
        assert client.get("/transaction/never_made/reasons").status_code == 404


def test_reasons_that_came_with_a_decision_say_their_way(server: Server) -> None:
    """Every one that a feature gave."""
    suspicious = {"user_id": "way_1", "amount": "90000.00", "merchant": "Way", "location": "Unknown Location"}
    with server.client() as client:
        reasons = client.post("/transaction", json=suspicious).json()["reasons"]
    assert reasons
    assert all(bool(reason["contribution"]) == (reason["direction"] is not None) for reason in reasons)
