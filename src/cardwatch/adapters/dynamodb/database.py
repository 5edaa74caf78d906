"""Reading and writing items: thin, typed calls of the low-level client.

A list of writes is one conditional call when it has one item, which is half the price, and one TransactWriteItems
otherwise. Whatever failed comes back as data: the items as they are now, or that it may be tried again.
"""

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from cardwatch.adapters.dynamodb.capacity import Meter
from cardwatch.adapters.dynamodb.client import Clients
from cardwatch.adapters.dynamodb.errors import code_of, is_conflict, translated
from cardwatch.adapters.dynamodb.names import Key, Table, TableNames
from cardwatch.adapters.dynamodb.tables import TABLES, Index
from cardwatch.adapters.dynamodb.values import Item, Value, from_wire, to_wire, value_to_wire
from cardwatch.domain.errors import StoreUnavailable

TRANSACTION_ITEMS_MAX: Final = 100
"""TransactWriteItems takes no more (AWS, Service quotas)."""

_BATCH_GET_ITEMS: Final = 100
_BATCH_GET_ROUNDS: Final = 8


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """One item's write with its condition; without `item`, `sets`, `removes` and `delete` it only checks."""

    key: Key
    item: Item | None = None
    """The whole item, to be put."""
    sets: Item = {}
    removes: tuple[str, ...] = ()
    counts_up: str | None = None
    """A number to be raised by one."""
    delete: bool = False
    absent: bool = False
    """Holds if there is no such item."""
    expected: Item = {}
    """Holds if the item has these values; without any and without `absent` it always holds."""


class Failed(msgspec.Struct, frozen=True):
    """Nothing was written."""

    current: dict[Key, Item | None]
    """The items whose condition did not hold, as they are; none when other transactions were in the way."""


class Database:
    """The four tables behind one client; a Meter, where given, counts capacity units."""

    def __init__(self, clients: Clients, names: TableNames, *, meter: Meter | None = None) -> None:
        self.clients = clients
        self.names = names
        self._meter = meter
        self._tables: dict[str, Table] = {names.of(table): table for table in Table}

    def get(self, key: Key, *, consistent: bool) -> Item | None:
        """Return an item, None where there is none."""
        answer = self._call("get_item", TableName=self.names.of(key[0]), Key=_wire_key(key), ConsistentRead=consistent)
        found = answer.get("Item")
        return None if found is None else from_wire(found)

    def get_many(self, keys: Sequence[Key], *, consistent: bool) -> dict[Key, Item]:
        """Return the items of a table that exist; raises StoreUnavailable while DynamoDB holds some back."""
        found: dict[Key, Item] = {}
        for start in range(0, len(keys), _BATCH_GET_ITEMS):
            found.update(self._get_batch(keys[start : start + _BATCH_GET_ITEMS], consistent=consistent))
        return found

    def _get_batch(self, keys: Sequence[Key], *, consistent: bool) -> dict[Key, Item]:
        table = keys[0][0]
        name = self.names.of(table)
        wanted: dict[str, Any] = {name: {"Keys": [_wire_key(key) for key in keys], "ConsistentRead": consistent}}
        found: dict[Key, Item] = {}
        for _ in range(_BATCH_GET_ROUNDS):
            answer = self._call("batch_get_item", RequestItems=wanted)
            for each in answer.get("Responses", {}).get(name, ()):
                item = from_wire(each)
                found[key_of(table, item)] = item
            wanted = answer.get("UnprocessedKeys") or {}
            if not wanted:
                return found
        raise StoreUnavailable("DynamoDB held back some of the items asked for")

    def query(
        self,
        table: Table,
        partition: str,
        *,
        index: Index | None = None,
        low: Value | None = None,
        high: Value | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """Yield a partition's items with a sort key from `low` to `high`, both included, in order of the sort key.

        `limit` is how many are read at a time. A table is read consistently; an index on AWS may lag.
        """
        definition = TABLES[table]
        names = {"#p": index.partition if index else definition.partition}
        condition, values = "#p = :p", {":p": value_to_wire(partition)}
        sort = index.sort if index else definition.sort
        for name, value, sign in (("l", low, ">="), ("h", high, "<=")):
            if value is not None and sort is not None:
                names["#s"] = sort
                values[f":{name}"] = value_to_wire(value)
                condition += f" AND #s {sign} :{name}"
        if low is not None and high is not None:
            condition = "#p = :p AND #s BETWEEN :l AND :h"
        request: dict[str, Any] = {
            "TableName": self.names.of(table),
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": not reverse,
        }
        request |= {"IndexName": index.name} if index else {"ConsistentRead": True}
        request |= {"Limit": limit} if limit else {}
        while True:
            answer = self._call("query", **request)
            yield from map(from_wire, answer.get("Items", ()))
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request["ExclusiveStartKey"] = last

    def write(self, writes: Sequence[Write]) -> Failed | None:
        """Write all or nothing; returns None when all was written. At most 100 items."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - loaded with the client

        try:
            if len(writes) == 1:
                self._write_one(writes[0])
            else:
                # The token makes botocore's own repetitions of a lost answer one transaction.
                self._call(
                    "transact_write_items",
                    TransactItems=[self._transact(write) for write in writes],
                    ClientRequestToken=secrets.token_hex(16),
                )
        except ClientError as error:
            return self._failure(error, writes)
        return None

    def _write_one(self, write: Write) -> None:
        verb, request = self._request(write)
        self._call(f"{verb.lower()}_item", **request)

    def _transact(self, write: Write) -> dict[str, Any]:
        verb, request = self._request(write)
        return {verb: request}

    def _request(self, write: Write) -> tuple[str, dict[str, Any]]:
        expressions = _Expressions()
        request: dict[str, Any] = {"TableName": self.names.of(write.key[0])}
        verb = "Delete"
        if write.item is not None:
            verb = "Put"
            request["Item"] = to_wire(write.item)
        else:
            request["Key"] = _wire_key(write.key)
            update = expressions.update(write)
            if update:
                verb = "Update"
                request["UpdateExpression"] = update
            elif not write.delete:
                verb = "ConditionCheck"
        condition = expressions.condition(write)
        if condition:
            request["ConditionExpression"] = condition
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return verb, request | expressions.attributes()

    def _failure(self, error: Any, writes: Sequence[Write]) -> Failed | None:
        """Return what a refused write says, or raise StoreUnavailable where its cause is another than conditions."""
        if is_conflict(code_of(error)):
            return Failed({})
        if code_of(error) == "ConditionalCheckFailedException":
            current = _current(error.response)
            if error.response.get("ResponseMetadata", {}).get("RetryAttempts") and _was_done(writes[0], current):
                return None
            return Failed({writes[0].key: current})
        if code_of(error) != "TransactionCanceledException":
            raise error
        reasons = error.response.get("CancellationReasons", ())
        codes = {reason.get("Code") for reason in reasons} - {"None", None}
        if not codes or codes - {"ConditionalCheckFailed", "TransactionConflict"}:
            raise StoreUnavailable(f"DynamoDB cancelled a transaction: {', '.join(sorted(codes)) or 'unknown'}")
        return Failed(
            {
                write.key: _current(reason)
                for write, reason in zip(writes, reasons, strict=True)
                if reason.get("Code") == "ConditionalCheckFailed"
            }
        )

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        if self._meter is not None:
            request["ReturnConsumedCapacity"] = "INDEXES"
        with translated():
            answer: dict[str, Any] = getattr(self.clients.tables, operation)(**request)
        if self._meter is not None:
            self._meter.note(operation, answer.get("ConsumedCapacity"), self._tables)
        return answer


class _Expressions:
    """Collects placeholders for names and values."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def attributes(self) -> dict[str, Any]:
        """Return the placeholders' meaning, as a request takes it."""
        found: dict[str, Any] = {}
        if self._names:
            found["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            found["ExpressionAttributeValues"] = self._values
        return found

    def update(self, write: Write) -> str:
        """Return what is set, raised and removed."""
        parts = []
        if write.sets:
            parts.append("SET " + ", ".join(f"{self._name(n)} = {self._value(v)}" for n, v in write.sets.items()))
        if write.counts_up:
            parts.append(f"ADD {self._name(write.counts_up)} {self._value(1)}")
        if write.removes:
            parts.append("REMOVE " + ", ".join(self._name(name) for name in write.removes))
        return " ".join(parts)

    def condition(self, write: Write) -> str:
        """Return the condition, empty where the write always holds."""
        if write.absent:
            return f"attribute_not_exists({self._name(TABLES[write.key[0]].partition)})"
        return " AND ".join(f"{self._name(n)} = {self._value(v)}" for n, v in write.expected.items())

    def _name(self, name: str) -> str:
        return self._names.setdefault(name, f"#n{len(self._names)}")

    def _value(self, value: Value) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value_to_wire(value)
        return placeholder


def key_of(table: Table, item: Item) -> Key:
    """Return the key of an item, or of an index's entry."""
    definition = TABLES[table]
    return table, str(item[definition.partition]), str(item[definition.sort]) if definition.sort else ""


def key_attributes(key: Key) -> Item:
    """Return a key as attributes."""
    definition = TABLES[key[0]]
    item: Item = {definition.partition: key[1]}
    return item | {definition.sort: key[2]} if definition.sort else item


def _wire_key(key: Key) -> dict[str, Any]:
    return to_wire(key_attributes(key))


def _current(answer: dict[str, Any]) -> Item | None:
    found = answer.get("Item")
    return from_wire(found) if found else None


def _was_done(write: Write, current: Item | None) -> bool:
    """Say whether a repeated write failed only because its first try, whose answer was lost, had passed."""
    if write.delete:
        return current is None
    wanted = write.item if write.item is not None else write.sets
    return current is not None and all(current.get(name) == value for name, value in wanted.items())
