"""History comes in once, with its labels and its effect on state, and nobody is asked anything."""

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import AddLabel, AddTransaction
from cardwatch.domain.decision import DecidedBy
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.transaction import Status
from cardwatch.features.engine import default_engine
from cardwatch.features.event import payment_event
from cardwatch.features.spec import LABEL_DELAY_S
from cardwatch.ports import Store
from cardwatch.services.import_history import GROUP_ROWS, Imported, import_history
from tests.builders import NOW_MS, make_account, make_label, make_transaction
from tests.contracts.backends import BACKENDS, QUICK_FIRST
from tests.runtime.labels import Blobs, consumer_of, run_group, stored_states
from tests.services.judging import ToldScorer, add, decide, judges

KEYS = (("account", "user_001"), ("merchant", "corner cafe"))


def rows(count: int, *, is_fraud: bool | None = None) -> list[HistoryRow]:
    """Return everyday payments, an hour apart."""
    return [
        HistoryRow(make_transaction(f"txn_{n:05d}", timestamp_ms=NOW_MS + n * 3_600_000), make_account(), is_fraud)
        for n in range(count)
    ]


def run(store: MemoryStore, history: list[HistoryRow]) -> Imported:
    """Import."""
    return import_history(history, store=store, engine=default_engine(), now_ms=NOW_MS)


def test_rows_are_approved_history_and_nobody_is_asked() -> None:
    """No pending payment, no text, an account on first sight."""
    store = MemoryStore()
    assert run(store, rows(3)) == Imported(added=3, known=0, accounts=1)
    page = store.transactions(limit=9)
    assert {record.status for record in page.records} == {Status.APPROVED}
    assert {record.decision.decided_by for record in page.records if record.decision} == {DecidedBy.IMPORT}
    assert not store.due_message_ids(channel="sms", now_ms=NOW_MS * 2, limit=9)


def test_same_rows_again_change_nothing() -> None:
    """Neither payments nor state nor labels."""
    store = MemoryStore()
    run(store, rows(5, is_fraud=False))
    before = (list(store.export()), store.states(KEYS))
    assert run(store, rows(5, is_fraud=False)) == Imported(added=0, known=5, accounts=0)
    assert (list(store.export()), store.states(KEYS)) == before


def test_import_that_was_cut_off_is_taken_up_again() -> None:
    """The rows that are there are known, the others are added, and the state is that of one import."""
    whole, halves = MemoryStore(), MemoryStore()
    run(whole, rows(8))
    run(halves, rows(5))
    assert run(halves, rows(8)) == Imported(added=3, known=5, accounts=0)
    assert halves.states(KEYS) == whole.states(KEYS)


def test_state_is_that_of_live_payments() -> None:
    """The same payments, scored live, leave the same bytes."""
    imported, live = MemoryStore(), MemoryStore()
    run(imported, rows(4))
    for row in rows(4):
        decide(live, add(live, row.transaction), judges(ToldScorer(0.0)))
    assert imported.states(KEYS) == live.states(KEYS)


def test_label_is_known_from_when_the_source_says() -> None:
    """Else the label delay after the payment; its source is kept."""
    first, second, third = rows(3, is_fraud=True)
    second = msgspec.structs.replace(second, label_available_ms=NOW_MS + 7, label_source="chargeback")
    third = msgspec.structs.replace(third, is_fraud=None)
    store = MemoryStore()
    run(store, [first, second, third])
    labels = [record.label for record, _ in store.export()]
    assert labels[0] is not None
    assert labels[1] is not None
    assert labels[2] is None
    assert (labels[0].value, labels[0].source, labels[0].available_at_ms) == (
        LabelValue.FRAUD,
        LabelSource.IMPORT,
        NOW_MS + LABEL_DELAY_S * 1000,
    )
    assert (labels[1].source, labels[1].available_at_ms) == (LabelSource.CHARGEBACK, NOW_MS + 7)


def test_progress_tells_of_groups_that_are_written() -> None:
    """Whole groups, then the rest."""
    told: list[int] = []
    import_history(
        rows(GROUP_ROWS + 2), store=MemoryStore(), engine=default_engine(), now_ms=NOW_MS, progress=told.append
    )
    assert told == [GROUP_ROWS, 2]


# Labels in feature state

DAY_MS = 86_400_000


@pytest.fixture(params=QUICK_FIRST)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Yield an empty store of each kind."""
    opened = BACKENDS[request.param](tmp_path)
    yield opened
    opened.close()


def labelled_rows(count: int) -> list[HistoryRow]:
    """Return payments two hours apart, of which some are fraud that is known at once, soon, by default, or late."""
    delays = (None, 0, DAY_MS, -DAY_MS, None, 40 * DAY_MS, 7_200_000)
    made = []
    for n in range(count):
        payment = make_transaction(
            f"txn_{n:05d}", timestamp_ms=NOW_MS + n * 7_200_000, device_id=f"d{n % 3}", merchant_id=f"shop {n % 5}"
        )
        delay = delays[n % 7]
        known = None if delay is None else payment.timestamp_ms + delay
        is_fraud = (n % 3 == 0) if n % 4 else None
        made.append(HistoryRow(payment, make_account(), is_fraud, label_available_ms=known))
    return made


def replayed(history: list[HistoryRow], *, label_delay_ms: int = LABEL_DELAY_S * 1000) -> Blobs:
    """Replay rows and labels from one queue: by time, labels before payments of the instant, payments by id."""
    engine = default_engine()
    queue: list[tuple[int, int, str, HistoryRow]] = []
    states: dict[tuple[str, str], list[int]] = {}
    for row in history:
        heapq.heappush(queue, (row.transaction.timestamp_ms, 1, row.transaction.transaction_id, row))
    while queue:
        _, is_payment, key, row = heapq.heappop(queue)
        event = payment_event(row.transaction, row.account)
        keys = engine.keys(event) if is_payment else engine.labelled_keys(event)
        for entity, name in keys:
            states.setdefault((entity, name), engine.load(((entity, name),), [None])[entity])
        named = {entity: states[entity, name] for entity, name in keys}
        if not is_payment:
            engine.relabel(event, named, 1)
            continue
        engine.update(event, named)
        if row.is_fraud:
            known = row.label_available_ms
            known = row.transaction.timestamp_ms + label_delay_ms if known is None else known
            heapq.heappush(queue, (known, 0, key, row))
    return {key: engine.dump({key[0]: state})[0] for key, state in states.items()}


def run_all(store: Store, history: list[HistoryRow], *, label_delay_ms: int = LABEL_DELAY_S * 1000) -> Imported:
    """Import."""
    return import_history(history, store=store, engine=default_engine(), now_ms=NOW_MS, label_delay_ms=label_delay_ms)


@pytest.mark.parametrize("label_delay_ms", [LABEL_DELAY_S * 1000, 0, DAY_MS])
def test_labels_are_counted_in_the_order_of_a_replay(store: Store, label_delay_ms: int) -> None:
    """Each when it was known, before a payment of the same instant; what comes after the last row, at the end."""
    history = labelled_rows(700)
    run_all(store, history, label_delay_ms=label_delay_ms)
    assert stored_states(store) == replayed(history, label_delay_ms=label_delay_ms)
    said = {record.transaction.transaction_id: record.label is not None for record, _ in store.export()}
    assert said == {row.transaction.transaction_id: row.is_fraud is not None for row in history}


def test_consumer_passes_over_labels_that_an_import_applied(store: Store) -> None:
    """Their effect is written already."""
    history = labelled_rows(300)
    run_all(store, history)
    before = stored_states(store)
    while run_group(store, consumer_of(store)):
        pass
    assert stored_states(store) == before == replayed(history)


class PowerCut(Exception):
    """What ends an import in these tests."""


def cut_after(groups: int) -> Callable[[int], None]:
    """Return a progress that cuts the power after some groups."""
    told: list[int] = []

    def progress(rows: int) -> None:
        told.append(rows)
        if len(told) == groups:
            raise PowerCut

    return progress


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_import_cut_between_groups_and_repeated_leaves_the_bytes_of_one(store: Store, groups: int) -> None:
    """States, versions and labels are those of one import that went through; a third time changes nothing."""
    history, whole = labelled_rows(3 * GROUP_ROWS), MemoryStore()
    run_all(whole, history)
    with pytest.raises(PowerCut):
        import_history(history, store=store, engine=default_engine(), now_ms=NOW_MS, progress=cut_after(groups))
    run_all(store, history)
    assert stored_states(store) == stored_states(whole) == replayed(history)
    assert list(store.export()) == list(whole.export())
    again = run_all(store, history)
    assert (again.added, again.known) == (0, 3 * GROUP_ROWS)
    assert list(store.export()) == list(whole.export())
    assert stored_states(store) == stored_states(whole)


@pytest.mark.parametrize("is_fraud", [True, False])
def test_known_row_gets_the_label_that_it_lacks(store: Store, *, is_fraud: bool) -> None:
    """Of a payment that came without one; a label that is there stays."""
    run_all(store, rows(3))
    run_all(store, rows(3, is_fraud=is_fraud))
    run_all(store, rows(3, is_fraud=not is_fraud))
    assert {record.label.value for record, _ in store.export() if record.label} == {
        LabelValue.FRAUD if is_fraud else LabelValue.GENUINE
    }
    assert all(len(labels) == 1 for _, labels in store.export())
    assert stored_states(store) == (replayed(rows(3, is_fraud=True)) if is_fraud else replayed(rows(3)))


@pytest.mark.parametrize("is_fraud", [True, False])
def test_payment_that_is_not_decided_takes_no_label(store: Store, *, is_fraud: bool) -> None:
    """It came live and waits; the next import may label it."""
    assert store.apply([AddTransaction(rows(1)[0].transaction)]) is None
    run_all(store, rows(1, is_fraud=is_fraud))
    record = store.transaction("txn_00000")
    assert record is not None
    assert (record.status, record.label) == (Status.PENDING, None)


def test_label_that_was_imported_can_be_taken_back(store: Store) -> None:
    """The consumer counts the fraud off again."""
    history = rows(2, is_fraud=True)
    run_all(store, history)
    counted = stored_states(store)
    contrary = make_label("txn_00000", value=LabelValue.GENUINE, source=LabelSource.ANALYST)
    assert store.apply([AddLabel(contrary, LabelSource.IMPORT)]) is None
    while run_group(store, consumer_of(store)):
        pass
    assert stored_states(store) != counted
    (state,) = store.states([("account", "user_001")])
    assert state is not None
    assert state[0] == 5
