"""What the tables are called, here and in an account."""

from enum import StrEnum
from typing import TypeAlias

import msgspec


class Table(StrEnum):
    """The four tables."""

    TRANSACTIONS = "transactions"
    """One item per payment with all that became of it; its stream is the change log."""
    ACCOUNTS = "accounts"
    STATES = "states"
    """Feature state by entity and key."""
    CONVERSATIONS = "conversations"
    """Challenges, messages and what belongs to them; cursors and dead letters."""


class TableNames(msgspec.Struct, frozen=True):
    """The names of the tables in an account."""

    transactions: str = "FraudDetection-Transactions"
    accounts: str = "FraudDetection-Accounts"
    states: str = "FraudDetection-States"
    conversations: str = "FraudDetection-Conversations"

    def of(self, table: Table) -> str:
        """Return a table's name."""
        name: str = getattr(self, table.value)
        return name


Key: TypeAlias = tuple[Table, str, str]
"""A table, the partition key, and the sort key ("" where the table has none)."""
