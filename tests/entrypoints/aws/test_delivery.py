"""Two scorers, crashes between two writes, and what the stream gave up on: each payment decided once, counted once."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cardwatch.domain.errors import StoreUnavailable
from cardwatch.domain.transaction import Status
from cardwatch.entrypoints.aws import score, sweep
from cardwatch.ports import Store
from tests.entrypoints.aws.events import FakeContext, stream_of
from tests.entrypoints.aws.homes import Cloud
from tests.entrypoints.aws.stores import STORES

KEYS = [("account", "user_001"), ("merchant", "corner cafe")]


@pytest.fixture
def dynamodb(tmp_path: Path) -> Iterator[Any]:
    """Yield a store over DynamoDB; skips where no emulator can run."""
    with STORES["dynamodb"](tmp_path) as store:
        yield store


def twin_store(store: Any) -> Any:
    """Return another store on the same tables, as another process has it."""
    return type(store)(store._database.clients, store._database.names)


def blobs(store: Store) -> list[bytes | None]:
    """Return the states that the payments of these tests change."""
    return [state[1] if state else None for state in store.states(KEYS)]


def paid(cloud: Cloud, count: int) -> list[str]:
    """Record everyday payments of one account at one merchant; returns their ids."""
    ids = [f"txn_{number:03}" for number in range(count)]
    for each in ids:
        cloud.record(each, amount="4.75", merchant="Corner Cafe", location="Seattle, WA")
    return ids


def test_two_scorers_on_one_account_leave_the_state_of_one(dynamodb: Any) -> None:
    """Both get every record; what one loses it works out again."""
    first, second = Cloud(dynamodb), Cloud(twin_store(dynamodb))
    ids = paid(first, 24)

    def work(cloud: Cloud, order: list[str]) -> None:
        waiting = order
        while waiting:
            failed = cloud.score(*waiting)
            waiting = [waiting[int(number) - 1] for number in failed]

    threads = [
        threading.Thread(target=work, args=(first, ids)),
        threading.Thread(target=work, args=(second, [*ids[1::2], *ids[::2]])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {first.status(each) for each in ids} == {Status.APPROVED}
    serial = Cloud()
    for each in paid(serial, 24):
        serial.score(each)
    assert blobs(dynamodb) == blobs(serial.store)
    decided = first.counted().get("decisions_total", 0) + second.counted().get("decisions_total", 0)
    assert decided == len(ids)


def test_crash_between_decision_and_states_is_made_good(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision stands; the record comes again and completes what the crash kept, once."""
    cloud = Cloud(dynamodb)
    paid(cloud, 1)
    real, calls = dynamodb.apply_state, []

    def dying(*args: Any, **keywords: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise StoreUnavailable("no answer")
        return real(*args, **keywords)

    monkeypatch.setattr(dynamodb, "apply_state", dying)
    assert cloud.score("txn_000") == ["1"]
    decision = cloud.stored("txn_000").decision
    assert cloud.score("txn_000") == []
    assert cloud.score("txn_000") == []
    assert cloud.stored("txn_000").decision == decision
    serial = Cloud()
    paid(serial, 1)
    serial.score("txn_000")
    assert blobs(dynamodb) == blobs(serial.store)


def test_what_the_stream_gave_up_on_goes_to_review(dynamodb: Any) -> None:
    """The failure destination names a stretch of the stream; its pending payments get that cause."""
    from cardwatch.adapters.dynamodb.names import Table
    from tests.support.dynoxide import REGION, session_url

    cloud = Cloud(dynamodb, AWS_REGION=REGION, CARDWATCH_AWS_ENDPOINT_URL=session_url())
    ids = paid(cloud, 3)
    cloud.score(ids[1])
    clients = dynamodb._database.clients
    name = dynamodb._database.names.of(Table.TRANSACTIONS)
    arn = clients.tables.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    shard = clients.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = clients.streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = clients.streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    info = {
        "shardId": shard,
        "streamArn": arn,
        "startSequenceNumber": records[0]["dynamodb"]["SequenceNumber"],
        "endSequenceNumber": records[-1]["dynamodb"]["SequenceNumber"],
    }
    body = {"requestContext": {"condition": "RecordAgeExceeded"}, "DDBStreamBatchInfo": info}
    event = {"Records": [{"messageId": "m1", "body": json.dumps(body)}, {"messageId": "m2", "body": "not ours"}]}
    assert sweep.handle(event, FakeContext(), cloud.home) == {"batchItemFailures": []}
    assert [cloud.status(each) for each in ids] == [Status.IN_REVIEW, Status.APPROVED, Status.IN_REVIEW]
    decision = cloud.stored(ids[0]).decision
    assert decision is not None
    assert (decision.detail, decision.reasons[0].code) == ("stream: RecordAgeExceeded", "SCORING_UNAVAILABLE")


def test_queue_message_comes_again_where_the_stream_cannot_be_read() -> None:
    """Nothing is lost with it."""
    pytest.importorskip("boto3", reason="boto3 is not installed (the extra `aws`)")
    cloud = Cloud(AWS_REGION="us-east-2", CARDWATCH_AWS_ENDPOINT_URL="http://127.0.0.1:9")
    info = {"shardId": "s", "streamArn": "arn:x", "startSequenceNumber": "1", "endSequenceNumber": "2"}
    event = {"Records": [{"messageId": "m1", "body": json.dumps({"DDBStreamBatchInfo": info})}]}
    answer = sweep.handle(event, FakeContext(), cloud.home)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


def test_scorer_that_stays_down_leaves_nothing_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint out of reach falls back; without a model at hand the payment goes to review."""
    cloud = Cloud(AWS_REGION="us-east-2", CARDWATCH_AWS_ENDPOINT_URL="http://127.0.0.1:9")
    cloud.record("txn_1", amount="4.75", merchant="Corner Cafe")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    assert score.handle_with_endpoint(stream_of(["txn_1"]), FakeContext(), cloud.home) == {"batchItemFailures": []}
    decision = cloud.stored("txn_1").decision
    assert decision is not None
    assert decision.model_version is not None
    assert decision.model_version.endswith("; fallback")
