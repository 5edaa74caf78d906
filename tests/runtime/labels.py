"""What the tests of labels in feature state share: a store with its consumer, and what the log says state must be."""

from collections import defaultdict
from functools import partial
from typing import Protocol

from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.label import Label, LabelSource, LabelValue
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.features.event import payment_event
from cardwatch.ports import Accounts, EntityStates, LogEntry, Store, Stream, Transactions
from cardwatch.runtime.scoring import ScoringConsumer
from cardwatch.runtime.telemetry import PrometheusMetrics
from cardwatch.services.label_effect import label_effect
from cardwatch.services.label_transaction import Labelled, label_transaction
from cardwatch.services.score_transaction import score_transaction
from tests.builders import NOW_MS
from tests.services.judging import ASKING, ToldScorer, judges

Blobs = dict[tuple[str, str], bytes]
"""State by (entity, key)."""


class Reads(Transactions, Accounts, EntityStates, Stream, Protocol):
    """What is read to compare state with the log."""


def consumer_of(store: Store, *, score: float = 0.1, metrics: PrometheusMetrics | None = None) -> ScoringConsumer:
    """Start a consumer at the stored cursor, as a process does."""
    judged_by = judges(ToldScorer(score))
    return ScoringConsumer(
        store,
        lambda record, now_ms: score_transaction(record, store=store, judges=judged_by, asking=ASKING, now_ms=now_ms),
        partial(label_effect, store=store, engine=judged_by.engine),
        FixedClock(),
        metrics or PrometheusMetrics(),
    )


def run_group(store: Store, consumer: ScoringConsumer) -> bool:
    """Let the consumer work in one group that commits."""
    with store.group():
        worked = consumer.run()
    consumer.committed()
    return worked


def label(
    store: Store,
    transaction_id: str,
    value: LabelValue,
    source: LabelSource = LabelSource.ANALYST,
    *,
    replace: bool = True,
) -> Labelled:
    """Label a payment as the route does."""
    return label_transaction(
        transaction_id, value=value, source=source, note=None, replace=replace, store=store, now_ms=NOW_MS
    )


def stored_states(store: Reads, engine: FeatureEngine | None = None) -> Blobs:
    """Return the state of every entity that a payment of the store names."""
    engine = engine or default_engine()
    keys = sorted({key for record, _ in store.export() for key in engine.keys(payment_event(record.transaction, None))})
    return {key: state[1] for key, state in zip(keys, store.states(keys), strict=True) if state is not None}


def states_of_log(store: Reads, engine: FeatureEngine | None = None) -> Blobs:
    """Apply the whole log once, in its order, to state kept in memory; of labels it takes only their order from it."""
    engine = engine or default_engine()
    states: dict[tuple[str, str], list[int]] = {}
    labels: dict[str, list[Label]] = {record.transaction.transaction_id: list(said) for record, said in store.export()}
    frauds: dict[str, bool] = defaultdict(bool)
    for entry in store.log(after=0, limit=1_000_000):
        if entry.kind == "label.added":
            is_fraud = labels[entry.key].pop(0).value is LabelValue.FRAUD
            _apply(store, engine, states, entry, change=is_fraud - frauds[entry.key])
            frauds[entry.key] = is_fraud
        elif entry.kind == "transaction.recorded":
            _apply(store, engine, states, entry, change=None)
    return {key: engine.dump({key[0]: state})[0] for key, state in states.items()}


def _apply(
    store: Reads,
    engine: FeatureEngine,
    states: dict[tuple[str, str], list[int]],
    entry: LogEntry,
    *,
    change: int | None,
) -> None:
    record = store.transaction(entry.key)
    assert record is not None
    event = payment_event(record.transaction, store.account(record.transaction.user_id))
    keys = engine.keys(event) if change is None else engine.labelled_keys(event)
    for key in keys:
        states.setdefault(key, engine.load((key,), [None])[key[0]])
    named = {entity: states[entity, key] for entity, key in keys}
    if change is None:
        engine.update(event, named)
    elif change:
        engine.relabel(event, named, change)
