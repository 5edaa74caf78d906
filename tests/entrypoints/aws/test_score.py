"""Score decides each record by itself: what may pass later comes again, what never will goes to review at once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import Change, DecideTransaction
from cardwatch.domain.errors import StoreCorrupt, StoreUnavailable
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.entrypoints.aws import score
from tests.entrypoints.aws.events import FakeContext, body_of, stream_event, stream_of, stream_record
from tests.entrypoints.aws.homes import Cloud
from tests.entrypoints.aws.stores import STORES


class TroubledStore(MemoryStore):
    """A store that fails as it is told, for some payments."""

    def __init__(self) -> None:
        super().__init__()
        self.unavailable: set[str] = set()
        self.poisonous: set[str] = set()
        self.corrupt: set[str] = set()

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        """Return a payment, or not."""
        if transaction_id in self.corrupt:
            raise StoreCorrupt("the payment's row")
        return super().transaction(transaction_id)

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply changes, or not."""
        for change in changes:
            if not isinstance(change, DecideTransaction):
                continue
            if change.transaction_id in self.unavailable:
                raise StoreUnavailable("throttled")
            if change.transaction_id in self.poisonous and change.decision.score is not None:
                raise ZeroDivisionError
        return super().apply(changes)


@pytest.fixture
def store() -> TroubledStore:
    """Return a store that works so far."""
    return TroubledStore()


@pytest.fixture
def cloud(store: TroubledStore) -> Cloud:
    """Return the functions over it, with three payments recorded."""
    running = Cloud(store)
    running.put_account()
    for number in range(3):
        running.record(f"txn_{number}", amount="4.75", merchant="Corner Cafe")
    return running


def test_record_that_may_pass_later_alone_is_reported(cloud: Cloud, store: TroubledStore) -> None:
    """Those behind it are decided; delivered again, only the failed one is."""
    store.unavailable.add("txn_1")
    assert cloud.score("txn_0", "txn_1", "txn_2") == ["2"]
    assert [cloud.status(f"txn_{n}") for n in range(3)] == [Status.APPROVED, Status.PENDING, Status.APPROVED]
    store.unavailable.clear()
    assert cloud.score("txn_1", "txn_2") == []
    assert cloud.status("txn_1") is Status.APPROVED
    counted = cloud.counted()
    assert (counted["stream_records_total failed"], counted["stream_records_total already"]) == (1, 1)


def test_poison_goes_to_review_with_its_cause(cloud: Cloud, store: TroubledStore) -> None:
    """It is not reported: nothing waits behind it; a dead letter names the cause, and it is counted."""
    store.poisonous.add("txn_1")
    assert cloud.score("txn_0", "txn_1", "txn_2") == []
    shown = cloud.shown("txn_1")
    assert (shown["status"], shown["reasons"][0]["code"]) == ("in_review", "SCORING_UNAVAILABLE")
    letter = cloud.store.dead_letters(limit=5)[0]
    assert (letter.consumer, letter.key, letter.cause) == ("score", "txn_1", "ZeroDivisionError: scoring failed")
    counted = cloud.counted()
    assert (counted["dead_letters_total score"], counted["stream_records_total poison"]) == (1, 1)
    assert counted["decisions_total review fallback"] == 1


def test_payment_that_cannot_be_read_blocks_nothing(cloud: Cloud, store: TroubledStore) -> None:
    """About it nothing can be decided; its cause is kept."""
    store.corrupt.add("txn_1")
    assert cloud.score("txn_0", "txn_1", "txn_2") == []
    assert [letter.key for letter in cloud.store.dead_letters(limit=5)] == ["txn_1"]
    assert cloud.status("txn_2") is Status.APPROVED


@pytest.mark.parametrize(
    "raw",
    [
        {"eventName": "INSERT"},
        {"eventName": "INSERT", "dynamodb": None},
        {"eventName": "INSERT", "dynamodb": {"Keys": {"transaction_id": {"N": "1"}}, "SequenceNumber": "1"}},
        {"eventName": "INSERT", "dynamodb": {"Keys": {"transaction_id": {"S": "nobody"}}, "SequenceNumber": "1"}},
    ],
)
def test_record_about_nothing_is_set_aside(cloud: Cloud, raw: dict[str, Any]) -> None:
    """It would be so for ever."""
    answer = score.handle(stream_event(raw, stream_record("txn_0", number=2)), FakeContext(), cloud.home)
    assert answer == {"batchItemFailures": []}
    assert len(cloud.store.dead_letters(limit=5)) == 1
    assert cloud.status("txn_0") is Status.APPROVED


@pytest.mark.parametrize("record", [{"name": "MODIFY"}, {"name": "REMOVE"}, {"status": "approved"}])
def test_what_is_no_new_payment_is_passed_over(cloud: Cloud, record: dict[str, str]) -> None:
    """Where the mapping has no filter, its own writes wake it."""
    event = stream_event(stream_record("txn_0", number=1, **record))
    assert score.handle(event, FakeContext(), cloud.home) == {"batchItemFailures": []}
    assert cloud.status("txn_0") is Status.PENDING


def test_empty_event_fails_nothing(cloud: Cloud) -> None:
    """As a call by hand sends it."""
    assert score.handle({}, None, cloud.home) == {"batchItemFailures": []}


def test_records_for_which_there_is_no_time_come_again(cloud: Cloud) -> None:
    """A function that is cut off would report nothing, and all of them would come again."""
    answer = score.handle(stream_of(["txn_0", "txn_1"]), FakeContext(left_ms=1_000), cloud.home)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "2"}]}


def test_one_invocation_wakes_notify_once(store: TroubledStore) -> None:
    """With the questions of all payments of the batch."""
    cloud = Cloud(store)
    for number in range(3):
        cloud.put_account(f"user_{number}", phone_number=f"+1206555010{number}")
        cloud.record(f"txn_{number}", user_id=f"user_{number}")
    cloud.score("txn_0", "txn_1", "txn_2")
    assert len(cloud.invocations.made) == 1
    assert len(cloud.invocations.take_ids()) == 3


@pytest.fixture(params=sorted(STORES))
def any_cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    """Yield the functions over each store."""
    with STORES[request.param](tmp_path) as opened:
        yield Cloud(opened)


def test_states_after_a_batch_are_those_of_one_by_one(any_cloud: Cloud) -> None:
    """Delivered again and again, and out of order, every payment counts once."""
    ids = [f"txn_{number}" for number in range(6)]
    for each in ids:
        any_cloud.clock.advance(60_000)
        any_cloud.record(each, amount="4.75", merchant="Corner Cafe")
        any_cloud.score(each)
    any_cloud.score(*ids[:3])
    any_cloud.score(*reversed(ids))
    twin = Cloud()
    for each in ids:
        twin.clock.advance(60_000)
        twin.record(each, amount="4.75", merchant="Corner Cafe")
        twin.score(each)
    keys = [("account", "user_001"), ("merchant", "corner cafe")]
    found, expected = any_cloud.store.states(keys), twin.store.states(keys)
    assert [state and state[1] for state in found] == [state and state[1] for state in expected]
    assert [score_of(any_cloud, each) for each in ids] == [score_of(twin, each) for each in ids]


def score_of(cloud: Cloud, transaction_id: str) -> float | None:
    """Return the score of a decided payment."""
    decision = cloud.stored(transaction_id).decision
    assert decision is not None
    return decision.score


def test_inline_decides_before_it_answers(any_cloud: Cloud) -> None:
    """201; the stream's record finds it decided."""
    cloud = Cloud(any_cloud.store, CARDWATCH_SCORING="inline")
    body = {"transaction_id": "txn_9", "user_id": "user_001", "amount": "4.75", "merchant": "Corner Cafe"}
    answer = cloud.call("POST", "/transaction", body)
    assert (answer["statusCode"], body_of(answer)["status"]) == (201, "approved")
    assert cloud.call("POST", "/transaction", body)["statusCode"] == 200
    assert cloud.score("txn_9") == []
    assert cloud.counted()["decisions_total approve threshold"] == 1
