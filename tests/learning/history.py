"""What tests of the packaged model share: seed accounts with their history, and payments made now."""

from functools import cache

from cardwatch.adapters.models import open_scorer
from cardwatch.adapters.scorers.bundle_scorer import BundleScorer
from cardwatch.domain.account import Account
from cardwatch.domain.money import Money
from cardwatch.domain.place import Place
from cardwatch.domain.times import utc_offset_s
from cardwatch.domain.transaction import Transaction
from cardwatch.features.engine import FeatureEngine, States, default_engine
from cardwatch.features.event import PaymentEvent, payment_event
from cardwatch.learning.seed_accounts import seed_accounts
from cardwatch.learning.simulate.demo import everyday_history

ENGINE = default_engine()
NOW_MS = 1_795_363_200_000
"""2026-11-22T16:00:00Z, a Sunday."""
ACCOUNTS = seed_accounts(created_at_ms=0)


class Replay:
    """The engine over states kept in memory, decoded: what a store does, without the bytes."""

    def __init__(self, engine: FeatureEngine) -> None:
        """Begin with no history at all."""
        self._engine = engine
        self._states: dict[tuple[str, str], list[int]] = {}

    def vector(self, transaction: Transaction, account: Account) -> list[float]:
        """Return a payment's features, then apply its effect."""
        event = payment_event(transaction, account)
        return self._engine.step(event, self._states_of(event))

    def read(self, transaction: Transaction, account: Account) -> list[float]:
        """Return a payment's features and change nothing."""
        event = payment_event(transaction, account)
        return self._engine.read(event, self._states_of(event))

    def apply(self, transaction: Transaction, account: Account) -> None:
        """Apply a payment's effect alone."""
        event = payment_event(transaction, account)
        self._engine.update(event, self._states_of(event))

    def _states_of(self, event: PaymentEvent) -> States:
        keys = self._engine.keys(event)
        found = {entity: self._states.get((entity, key)) for entity, key in keys}
        if None in found.values():
            fresh = self._engine.load(keys, [None] * len(keys))
            for entity, key in keys:
                self._states.setdefault((entity, key), fresh[entity])
        return {entity: self._states[entity, key] for entity, key in keys}


@cache
def packaged_scorer() -> BundleScorer:
    """Open the packaged model once."""
    return open_scorer()


@cache
def seeded(seed: int) -> Replay:
    """Return feature state after the seed accounts' 90 days of history."""
    replay = Replay(ENGINE)
    for account in ACCOUNTS:
        for transaction in everyday_history(account, seed=seed, days=90, until_ms=NOW_MS):
            replay.apply(transaction, account)
    return replay


def payment(
    account: Account,
    amount_minor: int,
    merchant: str,
    *,
    location: str | None = None,
    place: Place | None = None,
    at_ms: int = NOW_MS,
) -> Transaction:
    """Return a payment as the service would record it from amount, merchant and location alone."""
    return Transaction(
        transaction_id="txn_now",
        user_id=account.user_id,
        amount=Money(amount_minor, "USD"),
        merchant=merchant,
        merchant_id=merchant.casefold(),
        timestamp_ms=at_ms,
        received_at_ms=at_ms,
        fingerprint="",
        account_currency="USD",
        utc_offset_s=utc_offset_s(account.time_zone, at_ms),
        location=location,
        place=place,
    )
