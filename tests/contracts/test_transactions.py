"""The contract of reading payments: one by id, pages of many, and the export."""

import pytest

from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import AddChallenge, AddLabel, AddTransaction, Change, DecideTransaction, PutChallenge
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.transaction import Status
from cardwatch.ports import Store, TransactionPage
from tests.builders import NOW_MS, make_challenge, make_decision, make_label, make_reason, make_transaction

USERS = ("user_001", "user_002", "user_003")


def ids(page: TransactionPage) -> list[str]:
    """Return the ids on a page."""
    return [record.transaction.transaction_id for record in page.records]


@pytest.fixture
def many(store: Store) -> Store:
    """Return a store with 30 payments of three accounts, two of three decided, in every status."""
    statuses = (Status.APPROVED, Status.CHALLENGED, Status.IN_REVIEW, Status.DECLINED)
    for number in range(30):
        key = f"txn_{number:02}"
        assert store.apply([AddTransaction(make_transaction(key, user_id=USERS[number % 3]))]) is None
        if number % 5:
            assert store.apply([DecideTransaction(key, make_decision(), statuses[number % 4])]) is None
    return store


def test_an_unknown_payment_is_none(store: Store) -> None:
    """There is nothing to read of what was never recorded."""
    assert store.transaction("absent") is None


def test_a_payment_comes_back_as_recorded(store: Store) -> None:
    """Every field survives, optional ones and other alphabets too."""
    sent = make_transaction(
        "txn_ü", merchant="寿司 \u0000 'x'; DROP TABLE transactions --", metadata={"order": "1"}, mcc="5812", ip="::1"
    )
    assert store.apply([AddTransaction(sent)]) is None
    record = store.transaction("txn_ü")
    assert record is not None
    assert record.transaction == sent
    assert record.status is Status.PENDING
    assert (record.decision, record.challenge, record.label) == (None, None, None)


def test_a_decision_comes_back_bit_for_bit(store: Store) -> None:
    """Score, vector and reasons are what was decided, to the last bit."""
    decision = make_decision(score=0.1 + 0.2, vector=bytes(range(256)), reasons=(make_reason(),))
    changes: list[Change] = [
        AddTransaction(make_transaction()),
        DecideTransaction("txn_1", decision, Status.CHALLENGED),
    ]
    assert store.apply(changes) is None
    record = store.transaction("txn_1")
    assert record is not None
    assert record.decision == decision


def test_the_current_challenge_and_label_are_joined(store: Store) -> None:
    """The latest challenge, as it stands now, and the latest label."""
    asked = make_challenge("chl_2", state=ChallengeState.ASKED, asked_at_ms=NOW_MS, version=2)
    changes: list[Change] = [
        AddTransaction(make_transaction()),
        AddChallenge(make_challenge("chl_1")),
        AddChallenge(make_challenge("chl_2")),
        PutChallenge(asked),
        AddLabel(make_label(source=LabelSource.CARDHOLDER), None),
        AddLabel(make_label(value=LabelValue.GENUINE), LabelSource.CARDHOLDER),
    ]
    assert store.apply(changes) is None
    record = store.transaction("txn_1")
    assert record is not None
    assert record.challenge == asked
    assert record.label == make_label(value=LabelValue.GENUINE)


def test_pages_go_from_new_to_old_without_gap_or_repeat(many: Store) -> None:
    """Following `next_before` sees every payment once, newest first, and ends with None."""
    seen: list[str] = []
    before: int | None = None
    while True:
        page = many.transactions(limit=7, before=before)
        seen += ids(page)
        before = page.next_before
        if before is None:
            break
        assert before == page.records[-1].sequence
    assert seen == [f"txn_{number:02}" for number in reversed(range(30))]


def test_a_page_that_ends_exactly_has_no_next(many: Store) -> None:
    """There is no cursor when nothing follows, even if the page is full."""
    assert many.transactions(limit=30).next_before is None
    assert many.transactions(limit=29).next_before is not None
    assert many.transactions(limit=100).next_before is None


def test_new_payments_do_not_shift_pages(many: Store) -> None:
    """A cursor keeps its place while payments arrive."""
    first = many.transactions(limit=10)
    assert many.apply([AddTransaction(make_transaction("txn_new"))]) is None
    second = many.transactions(limit=10, before=first.next_before)
    assert ids(second) == [f"txn_{number:02}" for number in reversed(range(10, 20))]


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize("user_id", [None, *USERS, "absent"])
def test_filters_combine(many: Store, user_id: str | None, status: Status | None) -> None:
    """Each combination of account and status lists exactly what matches both, page by page."""
    everything = many.transactions(limit=100).records
    wanted = [
        record.transaction.transaction_id
        for record in everything
        if user_id in (None, record.transaction.user_id) and status in (None, record.status)
    ]
    first = many.transactions(user_id=user_id, status=status, limit=2)
    assert ids(first) == wanted[:2]
    if len(wanted) > 2:
        rest = many.transactions(user_id=user_id, status=status, limit=100, before=first.next_before)
        assert ids(rest) == wanted[2:]
        assert rest.next_before is None
    else:
        assert first.next_before is None


def test_a_moved_payment_leaves_its_old_listing(many: Store) -> None:
    """Status listings follow the status."""
    assert many.transaction("txn_00") is not None
    assert "txn_00" in ids(many.transactions(status=Status.PENDING, limit=100))
    assert many.apply([DecideTransaction("txn_00", make_decision(), Status.DECLINED)]) is None
    assert "txn_00" not in ids(many.transactions(status=Status.PENDING, limit=100))
    assert "txn_00" in ids(many.transactions(status=Status.DECLINED, limit=100))


def test_the_export_has_all_payments_in_order_with_all_labels(store: Store) -> None:
    """More than any internal page, oldest first, labels oldest first, and it can be taken up again."""
    total = 1203
    with store.group():
        for number in range(total):
            assert store.apply([AddTransaction(make_transaction(f"txn_{number}"))]) is None
    labels = [make_label("txn_600", source=source) for source in (LabelSource.CARDHOLDER, LabelSource.CHARGEBACK)]
    assert store.apply([AddLabel(labels[0], None), AddLabel(labels[1], LabelSource.CARDHOLDER)]) is None
    exported = list(store.export())
    assert [record.transaction.transaction_id for record, _ in exported] == [f"txn_{n}" for n in range(total)]
    assert {record.transaction.transaction_id: of for record, of in exported if of} == {"txn_600": tuple(labels)}
    middle = exported[700][0].sequence
    assert list(store.export(after=middle)) == exported[701:]
    assert list(store.export(after=exported[-1][0].sequence)) == []


def test_writing_goes_on_during_an_export(store: Store) -> None:
    """An export that is being read does not stop the writer, and ends."""
    for number in range(3):
        assert store.apply([AddTransaction(make_transaction(f"txn_{number}"))]) is None
    export = iter(store.export())
    next(export)
    assert store.apply([AddTransaction(make_transaction("txn_late"))]) is None
    rest = [record.transaction.transaction_id for record, _ in export]
    assert rest[:2] == ["txn_1", "txn_2"]
