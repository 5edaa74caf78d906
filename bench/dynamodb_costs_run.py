"""What a payment costs on DynamoDB: read and write units of recording and scoring it, as the service counts them.

The payments are everyday ones with a device, a card and metadata, of an account with 90 days of history, so that the
four states (account, merchant, device, pair) have their usual sizes. They go the way of the serverless home: recorded
by the service, decided by one conditional write, each state by its own. Units are what `ReturnConsumedCapacity` says,
checked against AWS's rules over the sizes of the items. Without --endpoint the test suite's emulator is started.
"""

import argparse
import struct
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

import msgspec
from tests.support.dynoxide import clients_of, dynamodb_url, fresh_names

from cardwatch.adapters.clock import SeededRandomness
from cardwatch.adapters.dynamodb import DynamoStore, create_tables, delete_tables
from cardwatch.adapters.dynamodb.capacity import Meter, item_bytes, write_units
from cardwatch.adapters.dynamodb.names import Key
from cardwatch.adapters.dynamodb.payments import payment_key
from cardwatch.adapters.dynamodb.states import state_key
from cardwatch.adapters.gazetteer import OfflineGazetteer
from cardwatch.domain.account import Account
from cardwatch.domain.changes import AddTransaction, DecideTransaction, PutAccount
from cardwatch.domain.decision import DecidedBy, Decision, Outcome
from cardwatch.domain.submission import Submission
from cardwatch.domain.transaction import Status, Transaction, TransactionRecord
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.features.event import payment_event
from cardwatch.learning.seed_accounts import seed_accounts
from cardwatch.learning.simulate.demo import everyday_history
from cardwatch.services.feature_state import read_features
from cardwatch.services.record_transaction import record_transaction

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
HISTORY_DAYS = 90
READ_UNITS_MAX = 3.0
WRITE_UNITS_MAX = 8.0


class Costs(msgspec.Struct):
    """Units per payment by step, and the largest items."""

    reads: dict[str, float]
    writes: dict[str, float]
    bytes_max: dict[str, int]
    """Size of the largest item of a kind, bytes."""
    table_writes_computed: float
    """Write units of the tables themselves (not their indexes) by AWS's rules over the items' sizes."""
    table_writes_counted: float

    @property
    def read_units(self) -> float:
        """Of a payment."""
        return sum(self.reads.values())

    @property
    def write_units(self) -> float:
        """Of a payment."""
        return sum(self.writes.values())


def measure(url: str, payments: int) -> Costs:
    """Record and score payments of an account with history; returns what each took on average."""
    clients, names = clients_of(url), fresh_names()
    create_tables(clients.tables, names)
    try:
        meter = Meter()
        return _measure(DynamoStore(clients, names, meter=meter), meter, payments)
    finally:
        delete_tables(clients.tables, names)


def _measure(store: DynamoStore, meter: Meter, payments: int) -> Costs:
    engine, gazetteer = default_engine(), OfflineGazetteer()
    account = seed_accounts(created_at_ms=NOW_MS - HISTORY_DAYS * DAY_MS)[0]
    store.apply([PutAccount(account)])
    history = everyday_history(account, seed=1, days=HISTORY_DAYS, until_ms=NOW_MS, gazetteer=gazetteer)
    for transaction in history:
        whole = msgspec.structs.replace(transaction, device_id=f"dev-{account.user_id}")
        store.apply([AddTransaction(whole)])
        _score(store, engine, _recorded(store, whole.transaction_id), account, meter)
    randomness = SeededRandomness(1)
    sizes: dict[str, int] = defaultdict(int)
    computed = 0
    for number, known in enumerate(history[-payments - 1 :]):
        if number == 1:  # the first payment that a process takes on a day also enters the day into the calendar
            meter.uses.clear()
            computed = 0
        with meter.step("record"):
            recorded = record_transaction(
                _submission(known),
                store=store,
                gazetteer=gazetteer,
                randomness=randomness,
                now_ms=NOW_MS + number * 60_000,
            )
        key = payment_key(recorded.record.transaction.transaction_id)
        computed += write_units(_size(store, key, sizes, "payment, pending"))
        with meter.step("score: read"):
            current = store.account(account.user_id)
        keys = _score(store, engine, recorded.record, current, meter)
        computed += write_units(_size(store, key, sizes, "payment, decided"))
        computed += sum(write_units(_size(store, state_key(*each), sizes, f"state, {each[0]}")) for each in keys)
    return _costs(meter, payments, sizes, computed)


def _submission(known: Transaction) -> Submission:
    return Submission(
        user_id=known.user_id,
        amount=Decimal(known.amount.minor) / 100,
        merchant=known.merchant,
        location=known.location,
        category=known.category,
        channel="card_present",
        device_id=f"dev-{known.user_id}",
        ip="203.0.113.7",
        card="tok_1a2b3c4d5e6f",
        metadata={"order": "A-10293", "basket": "3"},
    )


def _recorded(store: DynamoStore, transaction_id: str) -> TransactionRecord:
    record = store.transaction(transaction_id)
    assert record is not None  # noqa: S101  it was just written
    return record


def _score(
    store: DynamoStore, engine: FeatureEngine, record: TransactionRecord, account: Account | None, meter: Meter
) -> Sequence[tuple[str, str]]:
    """Decide a payment as a handler does that has it from the stream; returns the keys of its states."""
    transaction = record.transaction
    event = payment_event(transaction, account)
    with meter.step("score: read"):
        reading = read_features(transaction, account, store=store, engine=engine)
    decision = Decision(
        outcome=Outcome.APPROVE,
        decided_by=DecidedBy.THRESHOLD,
        decided_at_ms=NOW_MS,
        score=0.012345678901234,
        threshold=0.31,
        model_version="default-2026-11-20",
        spec_hash=engine.spec_hash,
        state_versions=reading.versions,
        vector=struct.pack(f"<{len(reading.vector)}d", *reading.vector),
    )
    with meter.step("score: decide"):
        store.apply([DecideTransaction(transaction.transaction_id, decision, Status.APPROVED)])

    def count(key: tuple[str, str], blob: bytes | None) -> bytes:
        states = engine.load((key,), [blob])
        engine.update(event, states)
        return engine.dump(states)[0]

    keys = engine.keys(event)
    for entity, key in keys:
        with meter.step("score: states"):
            store.apply_state(entity, key, sequence=record.sequence, step=partial(count, (entity, key)))
    return keys


def _size(store: DynamoStore, key: Key, sizes: dict[str, int], kind: str) -> int:
    """Return an item's size, and keep the largest; reads past the meter."""
    unmetered = DynamoStore(store._database.clients, store._database.names)  # noqa: SLF001
    item = unmetered._items.get(key)  # noqa: SLF001
    size = item_bytes(item or {})
    sizes[kind] = max(sizes[kind], size)
    return size


def _costs(meter: Meter, payments: int, sizes: dict[str, int], computed: int) -> Costs:
    reads: dict[str, float] = defaultdict(float)
    writes: dict[str, float] = defaultdict(float)
    for use in meter.uses:
        reads[use.step] += use.reads / payments
        writes[use.step] += (use.writes + use.index_writes) / payments
    counted = sum(use.writes for use in meter.uses if use.table != "conversations") / payments
    return Costs(dict(reads), dict(writes), dict(sizes), computed / payments, counted)


def main() -> int:
    """Print the table; 1 where a payment takes more than it may."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endpoint", help="an endpoint of DynamoDB; default: the test suite's emulator")
    parser.add_argument("--payments", type=int, default=50)
    options = parser.parse_args()
    if options.endpoint:
        costs = measure(options.endpoint, options.payments)
    else:
        with dynamodb_url() as url:
            costs = measure(url, options.payments)
    print(f"{'step':<18}{'read units':>12}{'write units':>13}")
    for step in costs.reads:
        print(f"{step:<18}{costs.reads[step]:>12.2f}{costs.writes[step]:>13.2f}")
    print(f"{'payment':<18}{costs.read_units:>12.2f}{costs.write_units:>13.2f}")
    print("and one write unit more for the first payment that a process takes on a day")
    print(f"tables alone: {costs.table_writes_counted:.2f} counted, {costs.table_writes_computed:.2f} by items' sizes")
    for kind, size in costs.bytes_max.items():
        print(f"largest {kind:<20}{size:>6} bytes")
    return int(costs.read_units > READ_UNITS_MAX or costs.write_units > WRITE_UNITS_MAX)
