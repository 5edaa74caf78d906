"""One row of history, whether simulated or imported: a payment, its account at that moment, and what is known of it."""

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.transaction import Transaction


class HistoryRow(msgspec.Struct, frozen=True, gc=False):
    """A payment with its account and, where known, its label."""

    transaction: Transaction
    account: Account
    is_fraud: bool | None = None
    """The label; None where the source has none."""
    label_available_ms: int | None = None
    """From when on the label was known; None where the source does not say."""
    label_source: str | None = None
    """Who said so, where the source tells ("chargeback")."""
    scenario: str | None = None
    """What the simulator was telling: "everyday", "travel", "account_takeover"; None for imported rows."""
