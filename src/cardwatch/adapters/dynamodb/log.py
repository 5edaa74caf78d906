"""The change log as a store verb: the transactions table's stream, read from its beginning and numbered.

This serves emulators, whose stream is one shard that nothing trims. On AWS a stream has many shards, keeps 24 hours,
and orders only what happens to one payment: positions in one line cannot be given there, and `log`, `cursor` and
`trim_log` have no place. The event source mapping keeps the position, and the handlers read what it delivers through
`images`.
"""

from typing import Any, Final

from cardwatch.adapters.dynamodb.database import Database
from cardwatch.adapters.dynamodb.errors import translated
from cardwatch.adapters.dynamodb.images import StreamedChange, in_order, streamed_change
from cardwatch.adapters.dynamodb.names import Table
from cardwatch.domain.errors import StoreUnavailable
from cardwatch.ports import LogEntry

_PAGE: Final = 1000


class StreamLog:
    """Follows a stream of one shard and keeps its entries, numbered from 1."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: list[LogEntry] = []
        self._iterator: str | None = None
        self._last: str | None = None

    def entries(self) -> list[LogEntry]:
        """Return all entries so far; raises StoreUnavailable for a stream of several shards."""
        changes: list[StreamedChange] = []
        while records := self._records():
            changes += [streamed_change(record) for record in records]
        for event in in_order(changes):
            self._entries.append(LogEntry(len(self._entries) + 1, event.kind, event.key, event.detail))
        return self._entries

    def _records(self) -> list[Any]:
        streams = self._database.clients.streams
        with translated():
            if self._iterator is None:
                self._iterator = streams.get_shard_iterator(**self._start())["ShardIterator"]
            answer = streams.get_records(ShardIterator=self._iterator, Limit=_PAGE)
        self._iterator = answer.get("NextShardIterator")
        records: list[Any] = answer.get("Records", [])
        return records

    def _start(self) -> dict[str, Any]:
        clients, name = self._database.clients, self._database.names.of(Table.TRANSACTIONS)
        table = clients.tables.describe_table(TableName=name)["Table"]
        stream = table.get("LatestStreamArn")
        if stream is None:
            raise StoreUnavailable(f"the table {name} has no stream")
        shards = clients.streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
        if len(shards) > 1:
            raise StoreUnavailable("a stream of several shards has no one order; its event source mapping reads it")
        return {"StreamArn": stream, "ShardId": shards[0]["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
