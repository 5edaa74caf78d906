"""The consumer that decides: its position and its effects are one, poison is set aside, a restart goes on."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from cardwatch.adapters.clock import FixedClock
from cardwatch.adapters.memory import MemoryStore
from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.changes import AddTransaction, PutAccount, SetCursor
from cardwatch.domain.errors import StoreUnavailable
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.features.engine import default_engine
from cardwatch.runtime.scoring import CONSUMER, ScoringConsumer
from cardwatch.runtime.telemetry import PrometheusMetrics
from cardwatch.services.label_effect import label_effect
from cardwatch.services.score_transaction import Decided, score_transaction
from tests.builders import make_account, make_transaction
from tests.services.judging import ASKING, ToldScorer, judges

KEY = ("account", "user_001")
AnyStore = MemoryStore | SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyStore]:
    """Yield a store of each kind that knows user_001."""
    opened: AnyStore = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "cardwatch.db")
    assert opened.apply([PutAccount(make_account())]) is None
    yield opened
    opened.close()


class Decider:
    """Decides with a told score, and breaks on the ids it is given."""

    def __init__(self, store: AnyStore, score: float, poison: frozenset[str] = frozenset()) -> None:
        self._store = store
        self._judges = judges(ToldScorer(score))
        self._poison = poison
        self.asked: list[str] = []

    def __call__(self, record: TransactionRecord, now_ms: int) -> Decided:
        """Decide."""
        self.asked.append(record.transaction.transaction_id)
        if record.transaction.transaction_id in self._poison:
            raise KeyError(f"cannot handle {record.transaction.merchant}")
        return score_transaction(record, store=self._store, judges=self._judges, asking=ASKING, now_ms=now_ms)


def consumer_of(store: AnyStore, decider: Decider) -> ScoringConsumer:
    """Start a consumer at the stored cursor, as a process does."""
    label_effect_here = partial(label_effect, store=store, engine=default_engine())
    return ScoringConsumer(store, decider, label_effect_here, FixedClock(), PrometheusMetrics())


def add(store: AnyStore, *ids: str) -> None:
    """Record payments as pending."""
    for transaction_id in ids:
        assert store.apply([AddTransaction(make_transaction(transaction_id))]) is None


def run_group(store: AnyStore, consumer: ScoringConsumer) -> bool:
    """Let the consumer work in one group that commits."""
    with store.group():
        worked = consumer.run()
    consumer.committed()
    return worked


def statuses(store: AnyStore, *ids: str) -> list[Status | None]:
    """Return where payments stand."""
    records = [store.transaction(transaction_id) for transaction_id in ids]
    return [record.status if record else None for record in records]


def test_payments_are_decided_in_their_order_and_once(store: AnyStore) -> None:
    """The cursor passes them, and a further turn finds nothing."""
    decider = Decider(store, 0.1)
    consumer = consumer_of(store, decider)
    add(store, "b", "a", "c")
    assert run_group(store, consumer)
    assert statuses(store, "a", "b", "c") == [Status.APPROVED] * 3
    assert decider.asked == ["b", "a", "c"]
    assert store.cursor(CONSUMER) == 3
    assert not run_group(store, consumer)


def test_poison_is_set_aside_and_does_not_block(store: AnyStore) -> None:
    """It goes to review and to the dead letters, without what was sent; those behind it are decided."""
    consumer = consumer_of(store, Decider(store, 0.1, frozenset({"b"})))
    add(store, "a", "b", "c")
    run_group(store, consumer)
    assert statuses(store, "a", "b", "c") == [Status.APPROVED, Status.IN_REVIEW, Status.APPROVED]
    (letter,) = store.dead_letters(limit=9)
    assert (letter.consumer, letter.key, letter.cause) == (CONSUMER, "b", "KeyError: scoring failed")
    assert "Corner Cafe" not in letter.cause + letter.payload
    record = store.transaction("b")
    assert record is not None
    assert record.decision is not None
    assert [reason.code for reason in record.decision.reasons] == ["SCORING_UNAVAILABLE"]


def test_damaged_row_is_set_aside_and_does_not_block(tmp_path: Path) -> None:
    """A payment whose row cannot be read is kept as a dead letter; those behind it are decided."""
    path = tmp_path / "cardwatch.db"
    store = SqliteStore(path)
    assert store.apply([PutAccount(make_account())]) is None
    add(store, "a", "b", "c")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE transactions SET body = CAST('not a payment' AS BLOB) WHERE transaction_id = 'b'")
    run_group(store, consumer_of(store, Decider(store, 0.1)))
    assert statuses(store, "a", "c") == [Status.APPROVED] * 2
    (letter,) = store.dead_letters(limit=9)
    assert letter.key == "b"
    store.close()


def test_store_that_fails_is_no_poison(store: AnyStore) -> None:
    """The group is given up and nothing is set aside; the next turn decides."""
    consumer = consumer_of(store, Decider(store, 0.1))
    add(store, "a")

    def unavailable(record: TransactionRecord, now_ms: int) -> Decided:
        raise StoreUnavailable(f"{record.transaction.transaction_id} at {now_ms}")

    decide, consumer._decide = consumer._decide, unavailable
    with pytest.raises(StoreUnavailable), store.group():
        consumer.run()
    consumer.rolled_back()
    consumer._decide = decide
    assert statuses(store, "a") == [Status.PENDING]
    assert run_group(store, consumer)
    assert statuses(store, "a") == [Status.APPROVED]
    assert not store.dead_letters(limit=9)


def test_rolled_back_group_is_read_again(store: AnyStore) -> None:
    """Effects and cursor go back together, and the decision after that is the only one."""
    decider = Decider(store, 0.9)
    consumer = consumer_of(store, decider)
    add(store, "a")
    with suppress(InterruptedError), store.group():
        consumer.run()
        raise InterruptedError("power cut")
    consumer.rolled_back()
    assert (statuses(store, "a"), store.cursor(CONSUMER), store.states([KEY])) == ([Status.PENDING], 0, [None])
    run_group(store, consumer)
    assert statuses(store, "a") == [Status.CHALLENGED]
    assert decider.asked == ["a", "a"]
    assert len(store.conversation(make_account().phone_number or "", limit=9)) == 1


def test_restart_goes_on_with_what_was_recorded_but_not_decided(store: AnyStore) -> None:
    """A new process decides the rest, and nothing twice."""
    first = Decider(store, 0.1)
    consumer = consumer_of(store, first)
    add(store, "a")
    run_group(store, consumer)
    add(store, "b", "c")
    second = Decider(store, 0.1)
    run_group(store, consumer_of(store, second))
    assert (first.asked, second.asked) == (["a"], ["b", "c"])
    assert [found[0] for found in store.states([KEY]) if found] == [3]


def test_second_process_on_the_same_cursor_gives_up(store: AnyStore) -> None:
    """Two consumers never decide on the same position."""
    stale = consumer_of(store, Decider(store, 0.1))
    add(store, "a")
    run_group(store, consumer_of(store, Decider(store, 0.1)))
    add(store, "b")
    assert store.apply([SetCursor(CONSUMER, store.cursor(CONSUMER), 99)]) is None
    with pytest.raises(StoreUnavailable, match="another process"), store.group():
        stale.run()


def test_waiter_hears_when_the_decision_is_durable(store: AnyStore) -> None:
    """Not before the commit."""

    async def run() -> TransactionRecord:
        consumer = consumer_of(store, Decider(store, 0.1))
        add(store, "a")
        with store.group():
            decision = consumer.decision("a")
            consumer.run()
            assert not decision.done()
        consumer.committed()
        return decision.result()

    assert asyncio.run(run()).status is Status.APPROVED


def test_waiter_of_a_rolled_back_group_is_forgotten(store: AnyStore) -> None:
    """Its job has failed; a later decision has nobody to tell."""

    async def run() -> bool:
        consumer = consumer_of(store, Decider(store, 0.1))
        add(store, "a")
        decision = consumer.decision("a")
        consumer.rolled_back()
        run_group(store, consumer)
        return decision.done()

    assert not asyncio.run(run())


def test_texts_are_woken_only_by_a_challenge(store: AnyStore) -> None:
    """An approval wakes nobody."""
    woken: list[str] = []
    for score, transaction_id in ((0.1, "a"), (0.9, "b")):
        consumer = consumer_of(store, Decider(store, score))
        consumer.on_texts = partial(woken.append, transaction_id)
        add(store, transaction_id)
        run_group(store, consumer)
    assert woken == ["b"]


def test_many_payments_take_several_turns(store: AnyStore) -> None:
    """One turn is bounded, so that requests get in between."""
    ids = [f"t{number:03d}" for number in range(300)]
    add(store, *ids)
    consumer = consumer_of(store, Decider(store, 0.1))
    turns = 0
    while run_group(store, consumer):
        turns += 1
    assert turns >= 2
    assert set(statuses(store, *ids)) == {Status.APPROVED}
