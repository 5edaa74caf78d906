"""From stream records to what happened: pure, for what an emulator's stream gives and for what Lambda delivers."""

import base64
import json
from typing import Any

import pytest

from cardwatch.adapters.dynamodb import Clients, DynamoStore, TableNames
from cardwatch.adapters.dynamodb.images import (
    Event,
    StreamedChange,
    event_line,
    events_between,
    from_event,
    in_order,
    streamed_change,
)
from cardwatch.adapters.dynamodb.values import Item, to_wire
from cardwatch.domain.changes import (
    AddChallenge,
    AddLabel,
    AddTransaction,
    Change,
    DecideTransaction,
    EraseAccount,
    MoveTransaction,
    PutAccount,
)
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.transaction import Status
from tests.builders import NOW_MS, make_account, make_challenge, make_decision, make_label, make_transaction


def records(clients: Clients, names: TableNames) -> list[dict[str, Any]]:
    """Return all records of the payments' stream."""
    arn = clients.tables.describe_table(TableName=names.transactions)["Table"]["LatestStreamArn"]
    (shard,) = clients.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = clients.streams.get_shard_iterator(**start)["ShardIterator"]
    found: list[dict[str, Any]] = clients.streams.get_records(ShardIterator=iterator, Limit=1000)["Records"]
    return found


def as_lambda_gets_it(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as Lambda hands it over: JSON, bytes in base64."""

    def encoded(value: object) -> str:
        assert isinstance(value, bytes)
        return base64.b64encode(value).decode()

    kept = {name: value for name, value in record.items() if name == "dynamodb"}
    kept["dynamodb"] = {n: v for n, v in kept["dynamodb"].items() if n != "ApproximateCreationDateTime"}
    event: dict[str, Any] = json.loads(json.dumps(kept, default=encoded))
    return event


def test_each_record_tells_its_events_and_its_payment(store: DynamoStore, clients: Clients, names: TableNames) -> None:
    """In the words of the change log, and with the payment as that write left it."""
    assert store.apply([PutAccount(make_account()), AddTransaction(make_transaction())]) is None
    decide = DecideTransaction("txn_1", make_decision(), Status.CHALLENGED)
    assert store.apply([decide, AddChallenge(make_challenge())]) is None
    move = MoveTransaction("txn_1", Status.CHALLENGED, Status.DECLINED, "cardholder_denied")
    assert store.apply([move, AddLabel(make_label(), None)]) is None
    changes = [streamed_change(record) for record in records(clients, names)]
    assert [[(event.kind, event.key, event.detail) for event in change.events] for change in changes] == [
        [("transaction.recorded", "txn_1", "pending")],
        [("transaction.decided", "txn_1", "challenged"), ("challenge.added", "txn_1", "queued")],
        [("transaction.moved", "txn_1", "declined:cardholder_denied"), ("label.added", "txn_1", "fraud:analyst:")],
    ]
    first, last = changes[0].record(), changes[-1].record()
    assert first is not None
    assert (first.transaction, first.status) == (make_transaction(), Status.PENDING)
    assert last == store.transaction("txn_1")


def test_what_lambda_delivers_reads_the_same(store: DynamoStore, clients: Clients, names: TableNames) -> None:
    """Its bytes are base64."""
    assert store.apply([AddTransaction(make_transaction())]) is None
    assert store.apply([DecideTransaction("txn_1", make_decision(), Status.APPROVED)]) is None
    for record in records(clients, names):
        assert streamed_change(from_event(as_lambda_gets_it(record))) == streamed_change(record)


def test_only_a_new_pending_payment_passes_the_scorers_filter(
    store: DynamoStore, clients: Clients, names: TableNames
) -> None:
    """The event source mapping asks for INSERT with status pending: nothing else that is written looks like it."""
    changes: list[Change] = [
        AddTransaction(make_transaction()),
        PutAccount(make_account()),
        AddChallenge(make_challenge()),
    ]
    assert store.apply(changes) is None
    assert store.apply([DecideTransaction("txn_1", make_decision(), Status.APPROVED)]) is None
    assert store.apply([EraseAccount("user_001", NOW_MS)]) is None
    seen = [(r["eventName"], r["dynamodb"]["NewImage"]["status"]["S"]) for r in records(clients, names)]
    assert seen.count(("INSERT", "pending")) == 1


def test_an_erasure_is_no_event(store: DynamoStore, clients: Clients, names: TableNames) -> None:
    """It changes the item and tells nothing; what was told before is not told again."""
    assert store.apply([PutAccount(make_account()), AddTransaction(make_transaction(ip="192.0.2.7"))]) is None
    assert store.apply([EraseAccount("user_001", NOW_MS)]) is None
    changes = [streamed_change(record) for record in records(clients, names)]
    assert [len(change.events) for change in changes] == [1, 0]


def test_a_modification_by_hand_and_an_expiry_are_no_events() -> None:
    """The revision did not grow, or nothing is left."""
    item: Item = {"transaction_id": "txn_1", "rev": 2, "events": [event_line(0, "transaction.decided", "approved")]}
    older: Item = item | {"rev": 1}
    assert len(events_between(older, item)) == 1
    assert events_between(item, item | {"note": "seen"}) == ()
    assert events_between(item, None) == ()


def test_events_of_one_write_are_in_the_order_of_its_changes() -> None:
    """Items of a transaction may come in any order; other writes stay where they are."""

    def change(key: str, batch: str | None, *indexes: int) -> StreamedChange:
        events = tuple(Event("label.added", key, str(index), index, batch) for index in indexes)
        return StreamedChange(key, events, None)

    mixed = [change("a", None, 0), change("b", "x", 1, 3), change("c", "x", 0, 2), change("d", None, 0)]
    assert [event.key for event in in_order(mixed)] == ["a", "c", "b", "c", "b", "d"]


@pytest.mark.parametrize("line", ["", "0", "x d approved", "0 z approved"])
def test_what_cannot_be_read_is_corrupt(line: str) -> None:
    """A line that no version wrote is poison, told as such."""
    image = to_wire({"transaction_id": "txn_1", "rev": 1, "events": [line]})
    with pytest.raises(StoreCorrupt):
        streamed_change({"dynamodb": {"Keys": {"transaction_id": {"S": "txn_1"}}, "NewImage": image}})
