"""The tables as data: made once, streamed, indexed by keys alone; what an everyday payment takes of them."""

import importlib.util
import subprocess
import sys

import pytest
from bench.dynamodb_costs_run import READ_UNITS_MAX, WRITE_UNITS_MAX, measure

from cardwatch.adapters.dynamodb import Clients, DynamoStore, TableNames, create_tables, delete_tables, describe_tables
from cardwatch.adapters.dynamodb.capacity import Meter, item_bytes, read_units, write_units
from cardwatch.adapters.dynamodb.tables import TABLES, create_request
from cardwatch.domain.changes import AddTransaction, DecideTransaction
from cardwatch.domain.transaction import Status
from tests.builders import make_decision, make_transaction
from tests.support.dynoxide import fresh_names, session_url


def test_tables_are_made_once(clients: Clients) -> None:
    """A second call makes nothing, and after deleting there is nothing; deleting again is no fault."""
    names = fresh_names()
    assert len(create_tables(clients.tables, names)) == len(TABLES)
    assert create_tables(clients.tables, names) == ()
    facts = describe_tables(clients.tables, names)
    assert [each.stream_arn is not None for each in facts if each] == [True, False, False, False]
    delete_tables(clients.tables, names)
    delete_tables(clients.tables, names)
    assert describe_tables(clients.tables, names) == (None,) * len(TABLES)


def test_the_guides_names_and_keys() -> None:
    """The setup guide names two tables and their keys."""
    names = TableNames()
    requests = {names.of(table): create_request(definition, names.of(table)) for table, definition in TABLES.items()}
    keys = {name: [each["AttributeName"] for each in request["KeySchema"]] for name, request in requests.items()}
    assert keys["FraudDetection-Transactions"] == ["transaction_id"]
    assert keys["FraudDetection-Accounts"] == ["user_id"]
    stream = requests["FraudDetection-Transactions"]["StreamSpecification"]
    assert stream == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_indexes_hold_keys_alone() -> None:
    """So that a change of status, of a label or of a message's words writes no index."""
    for table, definition in TABLES.items():
        for index in create_request(definition, table).get("GlobalSecondaryIndexes", ()):
            assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_the_index_by_status_is_sparse(clients: Clients, names: TableNames) -> None:
    """A payment that is approved never enters it; one in review does, and leaves when it is approved."""
    store = DynamoStore(clients, names)
    for number, status in enumerate((Status.APPROVED, Status.IN_REVIEW)):
        assert store.apply([AddTransaction(make_transaction(f"txn_{number}"))]) is None
        assert store.apply([DecideTransaction(f"txn_{number}", make_decision(), status)]) is None
    entries = clients.tables.scan(TableName=names.transactions, IndexName="by_status")["Items"]
    assert [entry["transaction_id"]["S"] for entry in entries] == ["txn_1"]


def test_nothing_is_scanned(clients: Clients, names: TableNames, monkeypatch: pytest.MonkeyPatch) -> None:
    """No verb asks for a scan: there is none in the adapter."""
    monkeypatch.delattr(type(clients.tables), "scan")
    store = DynamoStore(clients, names)
    assert store.apply([AddTransaction(make_transaction())]) is None
    assert len(store.transactions(limit=9).records) == len(list(store.export())) == 1


def test_an_everyday_payment_takes_three_reads_and_eight_writes(clients: Clients) -> None:  # noqa: ARG001 - skips
    """With all four states of usual size; the service's count agrees with the sizes of the items."""
    costs = measure(session_url(), 5)
    assert costs.read_units <= READ_UNITS_MAX
    assert costs.write_units <= WRITE_UNITS_MAX
    assert costs.table_writes_counted == pytest.approx(costs.table_writes_computed)
    assert max(costs.bytes_max.values()) <= 1024


def test_a_payment_is_read_for_one_unit(clients: Clients, names: TableNames) -> None:
    """Its decision and all that hangs on it are in its item."""
    store = DynamoStore(clients, names)
    assert store.apply([AddTransaction(make_transaction())]) is None
    assert store.apply([DecideTransaction("txn_1", make_decision(), Status.APPROVED)]) is None
    meter = Meter()
    assert DynamoStore(clients, names, meter=meter).transaction("txn_1") is not None
    assert (meter.reads, meter.writes) == (1.0, 0.0)


def test_units_follow_the_rules_of_the_service() -> None:
    """A write per KB begun, a read per 4 KB begun, half of it without consistency, twice in a transaction."""
    assert [write_units(size) for size in (1, 1024, 1025)] == [1, 1, 2]
    assert write_units(1025, transactional=True) == 4
    assert [read_units(size, consistent=True) for size in (1, 4096, 4097)] == [1, 1, 2]
    assert read_units(4097, consistent=False) == 1.0
    assert item_bytes({"id": "ab", "n": 12345, "b": b"123", "l": ["x", "yz"]}) == 2 + 2 + 1 + 4 + 1 + 3 + 1 + 3 + 5


def test_importing_the_adapter_imports_no_boto3() -> None:
    """It comes with the clients: what only reads the definitions does not pay for it."""
    assert importlib.util.find_spec("boto3") is not None
    code = "import sys, cardwatch.adapters.dynamodb; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
