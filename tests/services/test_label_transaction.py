"""Labels move a payment out of review, and an analyst's word is not overruled by accident."""

from typing import Any

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import AddTransaction, Change, DecideTransaction, MoveTransaction
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.transaction import Status
from cardwatch.services.label_transaction import Labelled, Labelling, label_transaction
from tests.builders import NOW_MS, make_decision, make_transaction

FRAUD, GENUINE = LabelValue.FRAUD, LabelValue.GENUINE
ANALYST, CHARGEBACK = LabelSource.ANALYST, LabelSource.CHARGEBACK


def store_at(status: Status) -> MemoryStore:
    """Return a store with txn_1 in a status."""
    store = MemoryStore()
    changes: list[Change] = [AddTransaction(make_transaction())]
    if status is not Status.PENDING:
        changes.append(DecideTransaction("txn_1", make_decision(), status))
    assert store.apply(changes) is None
    return store


def label(store: MemoryStore, value: LabelValue, source: LabelSource = ANALYST, **fields: Any) -> Labelled:
    """Label txn_1."""
    given = {"note": None, "replace": False, "now_ms": NOW_MS, **fields}
    return label_transaction("txn_1", value=value, source=source, store=store, **given)


def status(store: MemoryStore) -> Status:
    """Return where txn_1 stands."""
    record = store.transaction("txn_1")
    assert record is not None
    return record.status


@pytest.mark.parametrize(("value", "end"), [(FRAUD, Status.DECLINED), (GENUINE, Status.APPROVED)])
def test_analyst_decides_a_payment_in_review(value: LabelValue, end: Status) -> None:
    """Fraud declines, genuine approves."""
    store = store_at(Status.IN_REVIEW)
    labelled = label(store, value)
    assert labelled.labelling is Labelling.DONE
    assert labelled.record is not None
    assert labelled.record.label is not None
    assert (labelled.record.status, labelled.record.label.value) == (end, value)
    assert labelled.record.label.available_at_ms == NOW_MS


@pytest.mark.parametrize("value", [FRAUD, GENUINE])
@pytest.mark.parametrize("start", [Status.IN_REVIEW, Status.APPROVED, Status.DECLINED])
def test_chargeback_only_labels(start: Status, value: LabelValue) -> None:
    """Wherever the payment stands, it stays."""
    store = store_at(start)
    assert label(store, value, CHARGEBACK).labelling is Labelling.DONE
    assert status(store) is start


@pytest.mark.parametrize("start", [Status.APPROVED, Status.DECLINED])
def test_analyst_does_not_move_what_is_not_in_review(start: Status) -> None:
    """The label is kept for training."""
    store = store_at(start)
    assert label(store, FRAUD).labelling is Labelling.DONE
    assert status(store) is start


@pytest.mark.parametrize("source", [ANALYST, CHARGEBACK])
def test_other_word_against_an_analysts_is_a_conflict(source: LabelSource) -> None:
    """Unless it says that it replaces it."""
    store = store_at(Status.IN_REVIEW)
    label(store, GENUINE)
    assert label(store, FRAUD, source).labelling is Labelling.CONFLICT
    assert label(store, FRAUD, source, replace=True).labelling is Labelling.DONE
    record = store.transaction("txn_1")
    assert record is not None
    assert record.label is not None
    assert (record.status, record.label.value) == (Status.APPROVED, FRAUD)


def test_analysts_word_stands_behind_a_chargeback_that_repeats_it() -> None:
    """A contrary word of anyone still needs to say that it replaces it; afterwards nothing stands behind."""
    store = store_at(Status.APPROVED)
    label(store, FRAUD)
    assert label(store, FRAUD, CHARGEBACK).labelling is Labelling.DONE
    assert label(store, FRAUD, CHARGEBACK, note="again").labelling is Labelling.DONE
    assert label(store, GENUINE).labelling is Labelling.CONFLICT
    assert label(store, GENUINE, CHARGEBACK, replace=True).labelling is Labelling.DONE
    assert label(store, FRAUD).labelling is Labelling.DONE


def test_analyst_may_overrule_a_chargeback() -> None:
    """Only an earlier analyst's word needs a replacement."""
    store = store_at(Status.APPROVED)
    label(store, FRAUD, CHARGEBACK)
    assert label(store, GENUINE).labelling is Labelling.DONE


def test_same_label_again_is_the_same() -> None:
    """A retry adds nothing."""
    store = store_at(Status.IN_REVIEW)
    label(store, FRAUD, note="seen")
    length = len(store.log(after=0, limit=99))
    assert label(store, FRAUD, note="seen", now_ms=NOW_MS + 1).labelling is Labelling.SAME
    assert len(store.log(after=0, limit=99)) == length


def test_same_label_moves_a_payment_that_came_back_into_review() -> None:
    """A label given earlier must not lock the way out of review."""
    store = store_at(Status.APPROVED)
    label(store, FRAUD)
    assert store.apply([MoveTransaction("txn_1", Status.APPROVED, Status.IN_REVIEW, "cardholder_denied")]) is None
    assert label(store, FRAUD).labelling is Labelling.DONE
    assert status(store) is Status.DECLINED


def test_pending_payment_cannot_be_labelled_yet() -> None:
    """Its decision comes first."""
    store = store_at(Status.PENDING)
    assert label(store, FRAUD).labelling is Labelling.UNDECIDED
    assert status(store) is Status.PENDING


def test_unknown_payment_is_said_to_be_unknown() -> None:
    """Nothing is written."""
    labelled = label(MemoryStore(), FRAUD)
    assert (labelled.labelling, labelled.record) == (Labelling.UNKNOWN_TRANSACTION, None)
