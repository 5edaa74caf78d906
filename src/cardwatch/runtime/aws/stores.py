"""The store of a function: DynamoDB, through one client for each process."""

from collections.abc import Mapping
from typing import Any

from cardwatch.adapters.dynamodb import DynamoStore, Endpoint, TableNames, open_clients
from cardwatch.adapters.dynamodb.images import from_event, streamed_change
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.ports import Store
from cardwatch.runtime.settings import Settings


def open_store(settings: Settings) -> Store:
    """Return the store over the tables that the settings name; nothing is called until its first verb."""
    clients = open_clients(Endpoint(settings.aws_region, settings.aws_endpoint_url))
    names = TableNames(
        transactions=settings.transactions_table,
        accounts=settings.accounts_table,
        states=settings.states_table,
        conversations=settings.conversations_table,
    )
    return DynamoStore(clients, names)


def read_image(record: Mapping[str, Any]) -> TransactionRecord | None:
    """Return the payment that a stream record of Lambda's carries; raises StoreCorrupt where it cannot be read."""
    return streamed_change(from_event(record)).record()
