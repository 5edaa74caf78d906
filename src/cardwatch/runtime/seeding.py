"""Filling a store so that a newcomer sees something: five accounts, their history, and one scored payment."""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.changes import PutAccount
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.submission import Submission
from cardwatch.domain.transaction import Status
from cardwatch.learning.seed_accounts import seed_accounts
from cardwatch.learning.simulate.demo import everyday_history
from cardwatch.ports import Clock, Gazetteer, Randomness, Store
from cardwatch.services.import_history import import_history
from cardwatch.services.reach import Sender
from cardwatch.services.record_transaction import record_transaction
from cardwatch.services.score_transaction import Asking, Judges, score_transaction

HISTORY_DAYS = 90
SEED = 1

EXAMPLE = Submission(
    transaction_id="txn_123",
    user_id="user_001",
    amount=Decimal("6.40"),
    merchant="Corner Coffee",
    location="Seattle, WA",
    category="coffee",
)
"""The payment that the setup guide looks up."""


class Seeded(msgspec.Struct):
    """What was written; nothing when it was there already."""

    accounts: int = 0
    payments: int = 0


def seed_store(
    store: Store,
    *,
    judges: Judges,
    gazetteer: Gazetteer,
    clock: Clock,
    randomness: Randomness,
    progress: Callable[[int], None] = lambda _: None,
) -> Seeded:
    """Write the accounts `user_001` to `user_005` with their history, and `txn_123`; what is there stays."""
    now_ms = clock.now_ms()
    seeded = Seeded()
    for account in seed_accounts(created_at_ms=now_ms):
        _seed_account(account, store=store, judges=judges, gazetteer=gazetteer, now_ms=now_ms, seeded=seeded)
        progress(1)
    if store.transaction(EXAMPLE.transaction_id or "") is None:
        _pay_example(store, judges=judges, gazetteer=gazetteer, randomness=randomness, now_ms=now_ms)
        seeded.payments += 1
    return seeded


def _seed_account(
    account: Account, *, store: Store, judges: Judges, gazetteer: Gazetteer, now_ms: int, seeded: Seeded
) -> None:
    current = store.account(account.user_id)
    if current is not None and (current.phone_number or current.email):
        return
    seeded.accounts += 1
    if current is not None:  # a payment came before the seed and made the account without contact
        store.apply([PutAccount(msgspec.structs.replace(account, version=current.version + 1))])
    history = everyday_history(account, seed=SEED, days=HISTORY_DAYS, until_ms=now_ms, gazetteer=gazetteer)
    rows = [HistoryRow(transaction, account) for transaction in history]
    seeded.payments += import_history(rows, store=store, engine=judges.engine, now_ms=now_ms).added


def _pay_example(store: Store, *, judges: Judges, gazetteer: Gazetteer, randomness: Randomness, now_ms: int) -> None:
    """Record and decide the example as the server would; it is everyday, so nobody is asked."""
    with store.group():
        recorded = record_transaction(EXAMPLE, store=store, gazetteer=gazetteer, randomness=randomness, now_ms=now_ms)
        if recorded.record.status is not Status.PENDING:
            return
        asking = Asking(Sender(institution="Cardwatch", own_number=""), 0, randomness)
        decided = score_transaction(recorded.record, store=store, judges=judges, asking=asking, now_ms=now_ms)
        store.apply(decided.changes)
