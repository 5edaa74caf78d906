"""How the store fails: with errors of its own that say whether to try again, and never half."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardwatch.adapters.dynamodb import DynamoStore, TableNames, create_tables
from cardwatch.adapters.dynamodb.conversation_items import message_key
from cardwatch.adapters.dynamodb.database import Write
from cardwatch.adapters.dynamodb.payments import payment_key
from cardwatch.adapters.dynamodb.store import TooManyItems
from cardwatch.domain.changes import (
    AddMessage,
    AddTransaction,
    Change,
    DecideTransaction,
    PutState,
    SetAsideMessage,
)
from cardwatch.domain.errors import StoreCorrupt, StoreUnavailable
from cardwatch.domain.transaction import Status
from tests.adapters.dynamodb.flaky import LOSE, Flaky, running_flaky
from tests.builders import NOW_MS, make_decision, make_message, make_transaction
from tests.support.dynoxide import Dynoxide, DynoxideMissing, clients_of, session_url


@pytest.fixture
def flaky(names: TableNames) -> Iterator[Flaky]:  # noqa: ARG001 - skips where there is no endpoint
    """Yield a misbehaving server in front of the session's endpoint."""
    with running_flaky(session_url()) as server:
        yield server


@pytest.fixture
def shaken(flaky: Flaky, names: TableNames) -> DynamoStore:
    """Return a store behind the misbehaving server."""
    return DynamoStore(clients_of(flaky.url), names)


def test_throttling_is_waited_out(shaken: DynamoStore, flaky: Flaky) -> None:
    """A refusal for its rate alone is tried again within the call."""
    flaky.plan("PutItem", "ThrottlingException", "ProvisionedThroughputExceededException")
    assert shaken.apply([AddTransaction(make_transaction())]) is None


def test_throttling_that_lasts_is_unavailable(shaken: DynamoStore, flaky: Flaky, store: DynamoStore) -> None:
    """After the last try the caller is told to come again, and nothing was written."""
    store._note_day("2026-09-21")
    shaken._noted_days.add("2026-09-21")
    flaky.plan("PutItem", *["ThrottlingException"] * 4)
    with pytest.raises(StoreUnavailable, match="PutItem"):
        shaken.apply([AddTransaction(make_transaction())])
    assert store.transaction("txn_1") is None


READS: dict[str, Callable[[DynamoStore], object]] = {
    "GetItem": lambda store: store.transaction("txn_1"),
    "Query": lambda store: store.transactions(limit=1),
    "BatchGetItem": lambda store: store.states([("account", "user_001")]),
}


@pytest.mark.parametrize("operation", sorted(READS))
def test_reads_that_stay_refused_are_unavailable(shaken: DynamoStore, flaky: Flaky, operation: str) -> None:
    """Whatever is read."""
    flaky.plan(operation, *["InternalServerError"] * 4)
    with pytest.raises(StoreUnavailable):
        READS[operation](shaken)


def test_a_write_whose_answer_was_lost_holds(shaken: DynamoStore, flaky: Flaky, store: DynamoStore) -> None:
    """Botocore sends it again, its condition fails on what the first try wrote, and that is seen."""
    flaky.plan("PutItem", LOSE, LOSE)  # the calendar's, then the payment's
    assert shaken.apply([AddTransaction(make_transaction())]) is None
    flaky.plan("UpdateItem", LOSE)
    decide = DecideTransaction("txn_1", make_decision(), Status.APPROVED)
    assert shaken.apply([decide]) is None
    flaky.plan("UpdateItem", LOSE)
    again = DecideTransaction("txn_1", make_decision(score=0.9), Status.APPROVED)
    assert shaken.apply([again]) is again
    record = store.transaction("txn_1")
    assert record is not None
    assert record.decision == make_decision()


def test_a_transaction_whose_answer_was_lost_holds(shaken: DynamoStore, flaky: Flaky, store: DynamoStore) -> None:
    """The token makes both tries one."""
    flaky.plan("TransactWriteItems", LOSE)
    changes: list[Change] = [AddTransaction(make_transaction()), PutState("account", "user_001", 1, b"one")]
    assert shaken.apply(changes) is None
    assert list(store.states([("account", "user_001")])) == [(1, b"one")]
    assert [entry.kind for entry in store.log(after=0, limit=9)] == ["transaction.recorded"]


def test_a_conflict_of_transactions_is_tried_again(shaken: DynamoStore, flaky: Flaky) -> None:
    """Another transaction at the same items is waited for."""
    flaky.plan("UpdateItem", "TransactionConflictException", "TransactionConflictException")
    assert shaken.apply([AddTransaction(make_transaction())]) is None
    assert shaken.apply([DecideTransaction("txn_1", make_decision(), Status.APPROVED)]) is None


def test_an_endpoint_that_is_gone_is_unavailable(names: TableNames) -> None:
    """Nobody listens there; the error names no address and nothing stored."""
    store = DynamoStore(clients_of("http://127.0.0.1:9"), names)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store.transaction("txn_1")


def test_missing_tables_are_unavailable(store: DynamoStore) -> None:
    """They may be under way; the code says so."""
    absent = DynamoStore(store._database.clients, TableNames(transactions="absent-FraudDetection-Transactions"))
    with pytest.raises(StoreUnavailable, match="ResourceNotFound"):
        absent.transaction("txn_1")


def test_what_cannot_be_decoded_is_corrupt(store: DynamoStore) -> None:
    """Its kind is named, nothing of its content, and others are read on."""
    words = "cannot be read|lacks its bytes"
    assert store.apply([AddTransaction(make_transaction(n)) for n in ("txn_1", "txn_2")]) is None
    for body in (b"", b"\x01junk", b"\x07", "text"):
        store._database.write([Write(key=payment_key("txn_1"), sets={"body": body})])
        with pytest.raises(StoreCorrupt, match=words):
            DynamoStore(store._database.clients, store._database.names).transaction("txn_1")
    assert store.transaction("txn_2") is not None


def test_a_message_that_cannot_be_read_is_set_aside(store: DynamoStore) -> None:
    """It leaves the outbox without being read."""
    assert store.apply([AddMessage(make_message("m1"))]) is None
    store._database.write([Write(key=message_key("m1"), sets={"body": b"junk"})])
    assert store.due_message_ids(channel="sms", now_ms=NOW_MS, limit=9) == ["m1"]
    with pytest.raises(StoreCorrupt):
        store.message("m1")
    assert store.apply([SetAsideMessage("m1")]) is None
    assert store.due_message_ids(channel="sms", now_ms=NOW_MS, limit=9) == []


def test_more_than_a_transaction_takes_is_refused_whole(store: DynamoStore) -> None:
    """A list of more than 100 items is a fault of the caller, and nothing of it is written."""
    with pytest.raises(TooManyItems):
        store.apply([PutState("account", f"user_{n}", 1, b"one") for n in range(101)])
    assert list(store.states([("account", "user_0")])) == [None]
    assert store.apply([PutState("account", f"user_{n}", 1, b"one") for n in range(100)]) is None


def test_a_killed_emulator_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """SIGKILL between two writes; the file is opened again, and the log goes on without a gap."""
    try:
        emulator = Dynoxide(tmp_path / "dynamodb.db")
    except DynoxideMissing as missing:
        pytest.skip(str(missing))
    names = TableNames()
    try:
        emulator.start()
        clients = clients_of(emulator.url)
        create_tables(clients.tables, names)
        store = DynamoStore(clients, names)
        for number in range(20):
            assert store.apply([AddTransaction(make_transaction(f"txn_{number}"))]) is None
        assert store.apply([DecideTransaction("txn_3", make_decision(), Status.APPROVED)]) is None
        emulator.kill()
        with pytest.raises(StoreUnavailable):
            store.apply([AddTransaction(make_transaction("txn_lost"))])
        emulator.start()
        store = DynamoStore(clients_of(emulator.url), names)
        listed = [record.transaction.transaction_id for record in store.transactions(limit=100).records]
        assert listed == [f"txn_{number}" for number in reversed(range(20))]
        assert store.apply([AddTransaction(make_transaction("txn_new"))]) is None
        entries = store.log(after=0, limit=100)
        assert [entry.key for entry in entries] == [*(f"txn_{n}" for n in range(20)), "txn_3", "txn_new"]
    finally:
        emulator.kill()
