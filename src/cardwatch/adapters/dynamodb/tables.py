"""The four tables as data, and making, describing and deleting them.

Terraform describes the same tables for AWS; `TABLES` is what its plan is checked against. Every index carries keys
alone: what is listed is then read from the table, so that a change of a record costs no index write.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from cardwatch.adapters.dynamodb.errors import translated
from cardwatch.adapters.dynamodb.names import Table, TableNames
from cardwatch.domain.errors import StoreUnavailable

TTL_ATTRIBUTE: Final = "expires_at_s"
"""Seconds since 1970 after which DynamoDB may delete an item; absent: it stays."""


class Index(msgspec.Struct, frozen=True):
    """A global secondary index over the keys of items that have both attributes; others are not in it."""

    name: str
    partition: str
    sort: str
    sort_type: str = "S"


class TableDefinition(msgspec.Struct, frozen=True):
    """One table: keys (text), indexes, and whether its changes are streamed as old and new images."""

    table: Table
    partition: str
    sort: str | None = None
    indexes: tuple[Index, ...] = ()
    stream: bool = False
    ttl: bool = False


TABLES: Final[Mapping[Table, TableDefinition]] = {
    definition.table: definition
    for definition in (
        TableDefinition(
            Table.TRANSACTIONS,
            "transaction_id",
            indexes=(
                Index("by_account", "user_id", "sequence", "N"),
                Index("by_day", "day", "sequence", "N"),
                Index("by_status", "listed", "sequence", "N"),
            ),
            stream=True,
            ttl=True,
        ),
        TableDefinition(
            Table.ACCOUNTS,
            "user_id",
            indexes=(Index("by_id", "listed", "user_id"),),
        ),
        TableDefinition(Table.STATES, "state_id", indexes=(Index("by_owner", "owner", "state_id"),), ttl=True),
        TableDefinition(
            Table.CONVERSATIONS,
            "pk",
            "sk",
            indexes=(
                Index("by_due", "due", "due_at"),
                Index("by_act", "act", "act_at"),
                Index("by_address", "address", "said_at"),
                Index("by_subject", "subject", "sk"),
            ),
            ttl=True,
        ),
    )
}


class TableFacts(msgspec.Struct, frozen=True):
    """What a table that exists says of itself."""

    name: str
    status: str
    item_count: int
    """As of up to six hours ago, on AWS."""
    stream_arn: str | None


def create_request(definition: TableDefinition, name: str) -> dict[str, Any]:
    """Return the request that makes a table, billed per request."""
    keys = [(definition.partition, "HASH")] + ([(definition.sort, "RANGE")] if definition.sort else [])
    types = {attribute: "S" for attribute, _ in keys}
    for index in definition.indexes:
        types.setdefault(index.partition, "S")
        types.setdefault(index.sort, index.sort_type)
    request: dict[str, Any] = {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": kind} for key, kind in types.items()],
        "KeySchema": [{"AttributeName": key, "KeyType": role} for key, role in keys],
        "BillingMode": "PAY_PER_REQUEST",
    }
    if definition.indexes:
        request["GlobalSecondaryIndexes"] = [_index_request(index) for index in definition.indexes]
    if definition.stream:
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    return request


def _index_request(index: Index) -> dict[str, Any]:
    return {
        "IndexName": index.name,
        "KeySchema": [
            {"AttributeName": index.partition, "KeyType": "HASH"},
            {"AttributeName": index.sort, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def create_tables(client: Any, names: TableNames, *, wait_s: float = 60.0) -> tuple[str, ...]:
    """Make the tables that do not exist yet, with expiry and point-in-time recovery; returns the names of those made.

    Raises StoreUnavailable where the service cannot be reached, or a table is not ready within `wait_s` seconds.
    """
    made = []
    for definition in TABLES.values():
        name = names.of(definition.table)
        with translated():
            try:
                client.create_table(**create_request(definition, name))
            except client.exceptions.ResourceInUseException:
                continue
        made.append(name)
    for definition in TABLES.values():
        _await_active(client, names.of(definition.table), wait_s)
    for definition in TABLES.values():
        if names.of(definition.table) in made:
            _set_up(client, definition, names.of(definition.table))
    return tuple(made)


def describe_tables(client: Any, names: TableNames) -> tuple[TableFacts | None, ...]:
    """Return what each table says of itself, None for one that does not exist, in the order of `TABLES`."""
    return tuple(_facts(client, names.of(table)) for table in TABLES)


def delete_tables(client: Any, names: TableNames) -> None:
    """Delete the tables with all they hold; those that do not exist are passed over."""
    for table in TABLES:
        with translated():
            try:
                client.delete_table(TableName=names.of(table))
            except client.exceptions.ResourceNotFoundException:
                continue


def _facts(client: Any, name: str) -> TableFacts | None:
    with translated():
        try:
            table = client.describe_table(TableName=name)["Table"]
        except client.exceptions.ResourceNotFoundException:
            return None
    return TableFacts(name, table["TableStatus"], table.get("ItemCount", 0), table.get("LatestStreamArn"))


def _await_active(client: Any, name: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        facts = _facts(client, name)
        if facts is not None and facts.status == "ACTIVE":
            return
        time.sleep(0.05)
    raise StoreUnavailable(f"the table {name} was not ready within {wait_s:.0f} s")


def _set_up(client: Any, definition: TableDefinition, name: str) -> None:
    if definition.ttl:
        expiry = {"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
        _where_known(lambda: client.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry))
    recovery = {"PointInTimeRecoveryEnabled": True}
    _where_known(lambda: client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery))


def _where_known(call: Callable[[], object]) -> None:
    """Call what an emulator may not know; on AWS every table has it."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - heavy; only what makes tables pays for it

    with translated():
        try:
            call()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "UnknownOperationException":
                raise
