"""The store of the serverless home, over DynamoDB.

`DynamoStore` implements every port of a store; `create_tables` makes its tables; `images` reads their stream.
"""

from cardwatch.adapters.dynamodb.client import Clients, Endpoint, open_clients
from cardwatch.adapters.dynamodb.names import TableNames
from cardwatch.adapters.dynamodb.states import Applied, StateOutcome
from cardwatch.adapters.dynamodb.store import DynamoStore
from cardwatch.adapters.dynamodb.tables import create_tables, delete_tables, describe_tables

__all__ = [
    "Applied",
    "Clients",
    "DynamoStore",
    "Endpoint",
    "StateOutcome",
    "TableNames",
    "create_tables",
    "delete_tables",
    "describe_tables",
    "open_clients",
]
