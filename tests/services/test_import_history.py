"""History comes in once, with its labels and its effect on state, and nobody is asked anything."""

import msgspec

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.decision import DecidedBy
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.transaction import Status
from cardwatch.features.engine import default_engine
from cardwatch.services.import_history import GROUP_ROWS, Imported, import_history
from tests.builders import NOW_MS, make_account, make_transaction
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
    assert not store.due_messages(now_ms=NOW_MS * 2, limit=9)


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
    """Else from the payment's own time; its source is kept."""
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
        NOW_MS,
    )
    assert (labels[1].source, labels[1].available_at_ms) == (LabelSource.CHARGEBACK, NOW_MS + 7)


def test_progress_tells_of_groups_that_are_written() -> None:
    """Whole groups, then the rest."""
    told: list[int] = []
    import_history(
        rows(GROUP_ROWS + 2), store=MemoryStore(), engine=default_engine(), now_ms=NOW_MS, progress=told.append
    )
    assert told == [GROUP_ROWS, 2]
