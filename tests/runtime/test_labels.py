"""Labels reach feature state through the log: in its order, exactly once, and never in the way of payments."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.changes import (
    AddDeadLetter,
    AddLabel,
    AddTransaction,
    EraseAccount,
    PutAccount,
    PutState,
    SetCursor,
)
from cardwatch.domain.decision import DecidedBy
from cardwatch.domain.errors import CardwatchError
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.provider_post import InboundText
from cardwatch.domain.transaction import Status
from cardwatch.features.engine import default_engine
from cardwatch.features.event import payment_event
from cardwatch.ports import DeadLetter, Store
from cardwatch.runtime.scoring import CONSUMER
from cardwatch.runtime.telemetry import PrometheusMetrics
from cardwatch.services.handle_reply import handle_reply
from cardwatch.services.label_transaction import Labelling
from cardwatch.services.reach import Sender
from cardwatch.services.replay_dead_letters import Replayed, replay_dead_letter
from cardwatch.services.score_transaction import give_to_review
from tests.builders import NOW_MS, OWN_NUMBER, PHONE, make_account, make_label, make_transaction
from tests.contracts.backends import BACKENDS, QUICK_FIRST
from tests.runtime.labels import consumer_of, label, run_group, states_of_log, stored_states
from tests.services.judging import ASKING

FRAUD, GENUINE = LabelValue.FRAUD, LabelValue.GENUINE
ANALYST, CHARGEBACK, CARDHOLDER = LabelSource.ANALYST, LabelSource.CHARGEBACK, LabelSource.CARDHOLDER
MERCHANT = ("merchant", "corner cafe")
DAY_MS = 86_400_000


@pytest.fixture(params=QUICK_FIRST)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Yield a store of each kind that knows user_001."""
    opened = BACKENDS[request.param](tmp_path)
    assert opened.apply([PutAccount(make_account())]) is None
    yield opened
    opened.close()


def pay(store: Store, *ids: str) -> None:
    """Record payments as pending."""
    for transaction_id in ids:
        assert store.apply([AddTransaction(make_transaction(transaction_id))]) is None


def decided(store: Store, *ids: str) -> None:
    """Record payments and have them decided."""
    pay(store, *ids)
    run_group(store, consumer_of(store))


def version(store: Store) -> int:
    """Return how often the merchant's state was written."""
    (state,) = store.states([MERCHANT])
    return state[0] if state else 0


def known_frauds(store: Store) -> float:
    """Return what a payment three weeks later reads of the frauds of user_001 in a month."""
    engine = default_engine()
    event_keys = (("account", "user_001"),)
    (state,) = store.states(event_keys)
    later = payment_event(make_transaction(timestamp_ms=NOW_MS + 20 * DAY_MS), None)
    vector = engine.read(later, engine.load(event_keys, [state[1] if state else None]))
    return vector[engine.names.index("account_frauds_30d")]


@pytest.mark.parametrize("source", [ANALYST, CHARGEBACK])
def test_fraud_is_counted_and_counted_off_again(store: Store, source: LabelSource) -> None:
    """By an analyst as by a chargeback; each is one new version of the states that read labels."""
    decided(store, "a", "b")
    before = stored_states(store)
    label(store, "a", FRAUD, source)
    assert run_group(store, consumer_of(store))
    assert (version(store), known_frauds(store)) == (3, 1)
    assert stored_states(store) == states_of_log(store) != before
    label(store, "a", GENUINE, source)
    assert run_group(store, consumer_of(store))
    assert (version(store), known_frauds(store)) == (4, 0)
    assert stored_states(store) == states_of_log(store)


def replay(letter: DeadLetter, store: Store) -> Replayed:
    """Replay a letter about feature state."""
    sender = Sender(institution="Cardwatch", own_number=OWN_NUMBER)
    return replay_dead_letter(letter, store=store, engine=default_engine(), sender=sender, now_ms=NOW_MS)


def test_word_that_changes_no_truth_changes_no_state(store: Store) -> None:
    """Genuine where nothing was known, and fraud again from another source."""
    decided(store, "a", "b")
    label(store, "a", GENUINE)
    label(store, "b", FRAUD)
    run_group(store, consumer_of(store))
    label(store, "b", FRAUD, CHARGEBACK)
    consumer = consumer_of(store)
    assert not run_group(store, consumer)
    assert (version(store), known_frauds(store)) == (3, 1)


def test_cardholders_no_is_counted(store: Store) -> None:
    """The label that a reply leaves takes the same way."""
    assert store.apply([AddTransaction(make_transaction("a"))]) is None
    run_group(store, consumer_of(store, score=0.9))
    text = InboundText(message_id="SM1", phone=PHONE, own_number=OWN_NUMBER, body="NO")
    handle_reply(text, store=store, sender=ASKING.sender, now_ms=NOW_MS + 1, token="5eed")
    record = store.transaction("a")
    assert record is not None
    assert record.label is not None
    assert record.label.source is CARDHOLDER
    run_group(store, consumer_of(store))
    assert known_frauds(store) == 1
    assert stored_states(store) == states_of_log(store)


def test_labels_and_payments_take_turns_as_the_log_has_them(store: Store) -> None:
    """A payment after a label reads the version that the label left."""
    decided(store, "a")
    pay(store, "b")
    label(store, "a", FRAUD)
    pay(store, "c")
    run_group(store, consumer_of(store))
    read = []
    for key in ("b", "c"):
        record = store.transaction(key)
        assert record is not None
        assert record.decision is not None
        read.append(record.decision.state_versions["merchant:corner cafe"])
    assert read == [1, 3]
    assert stored_states(store) == states_of_log(store)


def test_label_of_a_group_that_is_given_up_is_counted_once(store: Store) -> None:
    """State and cursor go back together; the next turn, or the next process, counts it."""
    decided(store, "a")
    label(store, "a", FRAUD)
    consumer = consumer_of(store)
    with suppress(InterruptedError), store.group():
        consumer.run()
        raise InterruptedError
    consumer.rolled_back()
    assert version(store) == 1
    run_group(store, consumer)
    run_group(store, consumer_of(store))
    assert (version(store), known_frauds(store)) == (2, 1)


def test_label_in_the_same_batch_as_its_decision_is_counted(store: Store) -> None:
    """Whatever wrote it: a label of a payment that is decided on the way there is not lost."""
    pay(store, "a")
    assert store.apply([AddLabel(make_label("a"), None)]) is None
    pay(store, "b")
    run_group(store, consumer_of(store))
    assert known_frauds(store) == 1
    assert not store.dead_letters(limit=9)


def test_pending_payment_takes_no_label(store: Store) -> None:
    """It is decided first."""
    pay(store, "a")
    assert label(store, "a", FRAUD).labelling is Labelling.UNDECIDED


def test_payment_that_no_state_counts_has_no_label_there_either(store: Store) -> None:
    """It went to review unscored; its label stands, but feature state stays as it is."""
    decided(store, "a")
    pay(store, "b")
    record = store.transaction("b")
    assert record is not None
    given = give_to_review(record, cause="told", now_ms=NOW_MS)
    assert given.record.decision is not None
    assert given.record.decision.decided_by is DecidedBy.FALLBACK
    assert store.apply(given.changes) is None
    assert label(store, "b", FRAUD).labelling is Labelling.DONE
    run_group(store, consumer_of(store))
    assert (version(store), known_frauds(store)) == (1, 0)
    assert not store.dead_letters(limit=9)


def test_state_of_another_definition_is_left_alone(store: Store) -> None:
    """What an older version wrote does not count the payment in a way that is understood."""
    decided(store, "a")
    engine = default_engine()
    keys = [("account", "user_001"), MERCHANT]
    assert store.apply([PutState(entity, key, 2, b"old definition") for entity, key in keys]) is None
    assert not engine.understands(b"old definition")
    label(store, "a", FRAUD)
    run_group(store, consumer_of(store))
    assert store.states(keys) == [(2, b"old definition")] * 2


def test_label_after_an_erasure_brings_no_state_back(store: Store) -> None:
    """The account's is gone; the merchant's still counts the payment."""
    decided(store, "a")
    assert store.apply([EraseAccount("user_001", NOW_MS)]) is None
    label(store, "a", FRAUD)
    run_group(store, consumer_of(store))
    assert store.states([("account", "user_001"), ("pair", "user_001\x1fcorner cafe")]) == [None, None]
    assert version(store) == 2


def test_entry_of_an_older_version_counts_as_a_first_label(tmp_path: Path) -> None:
    """It does not say what stood before."""
    path = tmp_path / "cardwatch.db"
    with closing(SqliteStore(path)) as store:
        assert store.apply([PutAccount(make_account())]) is None
        decided(store, "a")
        label(store, "a", FRAUD)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE change_log SET detail = 'fraud:analyst' WHERE kind = 'label.added'")
        run_group(store, consumer_of(store))
        assert known_frauds(store) == 1


def test_poison_label_is_set_aside_and_can_be_taken_up_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands behind it goes on; replayed it counts, and the letter is gone."""
    decided(store, "a")
    consumer = consumer_of(store)

    def poisoned(transaction_id: str, change: int) -> tuple[PutState, ...]:
        raise KeyError(f"{transaction_id} {change}")

    label(store, "a", FRAUD)
    pay(store, "b")
    monkeypatch.setattr(consumer, "_label_effect", poisoned)
    run_group(store, consumer)
    record = store.transaction("b")
    assert record is not None
    assert record.status is Status.APPROVED
    (letter,) = store.dead_letters(limit=9)
    assert (letter.consumer, letter.key, letter.payload) == (CONSUMER, "a", "label fraud:analyst:")
    assert known_frauds(store) == 0
    assert replay(letter, store) is Replayed.DONE
    assert known_frauds(store) == 1
    assert not store.dead_letters(limit=9)
    assert replay(letter, store) is Replayed.RACED
    assert known_frauds(store) == 1


def test_label_of_a_payment_that_stays_undecided_is_not_lost(store: Store) -> None:
    """A group that holds nothing else commits, so that it is set aside once, and kept until it can be replayed."""
    pay(store, "a")
    assert store.apply([SetCursor(CONSUMER, 0, 1), AddLabel(make_label("a"), None)]) is None
    assert run_group(store, consumer_of(store))
    assert not run_group(store, consumer_of(store))
    (letter,) = store.dead_letters(limit=9)
    with pytest.raises(CardwatchError, match="before it was decided"):
        replay(letter, store)
    assert store.dead_letters(limit=9) == [letter]


def test_letter_of_a_label_that_no_state_counts_says_that_there_is_nothing_to_replay(store: Store) -> None:
    """And it is removed."""
    decided(store, "a")
    assert store.apply([AddDeadLetter(CONSUMER, "a", "told", "label genuine:analyst:", NOW_MS)]) is None
    (letter,) = store.dead_letters(limit=9)
    assert replay(letter, store) is Replayed.NOTHING
    assert not store.dead_letters(limit=9)


def test_applied_labels_are_counted_once_they_are_durable(store: Store) -> None:
    """Frauds, and those that are none any more."""
    metrics = PrometheusMetrics()
    decided(store, "a")
    consumer = consumer_of(store, metrics=metrics)
    label(store, "a", FRAUD)
    label(store, "a", GENUINE)
    with store.group():
        consumer.run()
    assert b'labels_applied_total{change="fraud"}' not in metrics.exposition()
    consumer.committed()
    printed = metrics.exposition().decode()
    assert 'cardwatch_labels_applied_total{change="fraud"} 1.0' in printed
    assert 'cardwatch_labels_applied_total{change="no_longer_fraud"} 1.0' in printed
