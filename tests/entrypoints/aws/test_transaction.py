"""Taking payments in: durable before the answer, the same again is the same, and who waits is told in time."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import Change, DecideTransaction
from cardwatch.domain.errors import StoreUnavailable
from cardwatch.domain.transaction import Status
from cardwatch.entrypoints.aws import transaction
from tests.entrypoints.aws.events import FakeContext, body_of, proxy_event
from tests.entrypoints.aws.homes import JSON, Cloud

PAYMENT = {"transaction_id": "txn_1", "user_id": "user_001", "amount": "4.75", "merchant": "Corner Cafe"}


@pytest.fixture
def cloud() -> Cloud:
    """Return the functions over a memory store."""
    return Cloud()


def test_same_again_and_other_content(cloud: Cloud) -> None:
    """202 while pending, 200 once decided, 409 for other content under the same id."""
    answers = [cloud.call("POST", "/transaction", PAYMENT) for _ in range(2)]
    assert [answer["statusCode"] for answer in answers] == [202, 202]
    assert answers[0]["headers"]["Location"] == "/transaction/txn_1"
    cloud.score("txn_1")
    assert cloud.call("POST", "/transaction", PAYMENT)["statusCode"] == 200
    conflict = cloud.call("POST", "/transaction", {**PAYMENT, "amount": "4.76"})
    assert (conflict["statusCode"], body_of(conflict)["type"]) == (409, "urn:cardwatch:problem:conflict")


def test_base64_body_is_taken(cloud: Cloud) -> None:
    """Where the API declares JSON a binary type."""
    assert cloud.call("POST", "/transaction", PAYMENT, binary=True)["statusCode"] == 202


def test_prefer_wait_is_answered_as_soon_as_it_is_decided(cloud: Cloud) -> None:
    """The stream decides meanwhile."""
    threading.Timer(0.3, lambda: cloud.score("txn_1")).start()
    started = time.monotonic()
    answer = cloud.call("POST", "/transaction", PAYMENT, headers={**JSON, "Prefer": "wait=10"})
    assert (answer["statusCode"], body_of(answer)["status"]) == (201, "approved")
    assert 0.2 < time.monotonic() - started < 5


@pytest.mark.parametrize(("prefer", "left_ms"), [("wait=1", 60_000), ("wait=20", 2_200)])
def test_prefer_wait_ends_with_the_time_there_is(cloud: Cloud, prefer: str, left_ms: int) -> None:
    """Its own, or the invocation's: the payment is recorded either way."""
    event = proxy_event(
        "POST", "/transaction", '{"user_id": "u", "amount": 1, "merchant": "m"}', headers={**JSON, "Prefer": prefer}
    )
    started = time.monotonic()
    answer = transaction.handle(event, FakeContext(left_ms=left_ms), cloud.home)
    assert answer["statusCode"] == 202
    assert 0.4 < time.monotonic() - started < 2.5


def test_respond_async_leaves_the_decision_to_the_stream() -> None:
    """Also where payments are decided in the request."""
    cloud = Cloud(CARDWATCH_SCORING="inline")
    answer = cloud.call("POST", "/transaction", PAYMENT, headers={**JSON, "Prefer": "respond-async"})
    assert (answer["statusCode"], cloud.status("txn_1")) == (202, Status.PENDING)


class DecidesNothing(MemoryStore):
    """A store that records and cannot decide."""

    error: Exception = StoreUnavailable("throttled")

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply everything but decisions."""
        if any(isinstance(change, DecideTransaction) for change in changes):
            raise self.error
        return super().apply(changes)


@pytest.mark.parametrize("error", [StoreUnavailable("throttled"), ZeroDivisionError()])
def test_payment_that_inline_cannot_decide_is_accepted(error: Exception) -> None:
    """It is durable, and the stream decides it or sends it to review."""
    store = DecidesNothing()
    store.error = error
    answer = Cloud(store, CARDWATCH_SCORING="inline").call("POST", "/transaction", PAYMENT)
    assert (answer["statusCode"], body_of(answer)["status"]) == (202, "pending")


class Down(MemoryStore):
    """A store that takes nothing."""

    def apply(self, _: Sequence[Change]) -> Change | None:
        """Refuse."""
        raise StoreUnavailable("DynamoDB could not do TransactWriteItems: ThrottlingException")


def test_store_that_cannot_take_it_is_503() -> None:
    """Nothing was promised, and what the store said stays inside."""
    answer = Cloud(Down()).call("POST", "/transaction", PAYMENT)
    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "1")
    assert "Throttling" not in str(answer)


def test_unexpected_error_is_a_problem_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And quotes the request's id for the log."""

    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("+12065550101")

    monkeypatch.setattr(transaction, "record_transaction", broken)
    answer = Cloud().call("POST", "/transaction", PAYMENT)
    assert (answer["statusCode"], body_of(answer)["type"]) == (500, "urn:cardwatch:problem:internal")
    assert "+1206" not in str(answer)
