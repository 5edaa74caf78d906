"""What is larger than one transaction, or than one page: groups, erasures, listings."""

import pytest

from cardwatch.adapters.dynamodb import Clients, DynamoStore, TableNames, payment_reads
from cardwatch.domain.changes import AddTransaction, Change, DecideTransaction, EraseAccount, PutAccount, PutState
from cardwatch.domain.errors import StoreUnavailable
from cardwatch.domain.transaction import Status
from tests.builders import NOW_MS, make_account, make_decision, make_transaction

DAY_MS = 86_400_000


def test_a_large_erasure_is_written_in_parts_and_ends_with_the_account(store: DynamoStore) -> None:
    """Every payment of an account of 130 loses its personal data."""
    changes: list[Change] = [PutAccount(make_account())]
    changes += [AddTransaction(make_transaction(f"txn_{n}", ip="192.0.2.7")) for n in range(130)]
    with store.group():
        for change in changes:
            assert store.apply([change]) is None
    assert store.apply([EraseAccount("user_001", NOW_MS)]) is None
    assert store.account("user_001") is None
    assert {record.transaction.ip for record, _ in store.export()} == {None}
    again = EraseAccount("user_001", NOW_MS)
    assert store.apply([again]) is again


def test_an_interrupted_erasure_can_be_asked_for_again(
    store: DynamoStore, clients: Clients, names: TableNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account's row goes last, so that the second call finds it."""
    changes: list[Change] = [PutAccount(make_account())]
    changes += [AddTransaction(make_transaction(f"txn_{n}", ip="192.0.2.7")) for n in range(130)]
    with store.group():
        for change in changes:
            assert store.apply([change]) is None
    broken = DynamoStore(clients, names)
    write, calls = broken._database.write, iter((True, False))

    def write_once(writes: object) -> object:
        if next(calls):
            return write(writes)  # type: ignore[arg-type]
        raise StoreUnavailable("told to fail")

    monkeypatch.setattr(broken._database, "write", write_once)
    with pytest.raises(StoreUnavailable):
        broken.apply([EraseAccount("user_001", NOW_MS)])
    left = [record.transaction.transaction_id for record, _ in store.export() if record.transaction.ip]
    assert 0 < len(left) < 130
    assert store.apply([EraseAccount("user_001", NOW_MS)]) is None
    assert {record.transaction.ip for record, _ in store.export()} == {None}


def test_a_group_that_another_writer_crossed_is_given_up(
    store: DynamoStore, clients: Clients, names: TableNames
) -> None:
    """What it had read is no longer true at its end; nothing of it stays."""
    assert store.apply([PutState("account", "user_001", 1, b"one")]) is None

    def cross() -> None:
        with store.group():
            assert (
                store.apply([PutState("account", "user_001", 2, b"group"), AddTransaction(make_transaction())]) is None
            )
            assert DynamoStore(clients, names).apply([PutState("account", "user_001", 2, b"other")]) is None

    with pytest.raises(StoreUnavailable):
        cross()
    assert list(store.states([("account", "user_001")])) == [(2, b"other")]
    assert store.transaction("txn_1") is None


def test_listings_go_over_days(store: DynamoStore) -> None:
    """Payments of several days, more than a page of entries, come newest first and page by page."""
    for day in range(4):
        for number in range(8):
            payment = make_transaction(f"txn_{day}_{number}", received_at_ms=NOW_MS + day * DAY_MS + number)
            assert store.apply([AddTransaction(payment)]) is None
    wanted = [f"txn_{day}_{number}" for day in reversed(range(4)) for number in reversed(range(8))]
    seen: list[str] = []
    before: int | None = None
    while True:
        page = store.transactions(limit=5, before=before)
        seen += [record.transaction.transaction_id for record in page.records]
        before = page.next_before
        if before is None:
            break
    assert seen == wanted
    assert [record.transaction.transaction_id for record, _ in store.export()] == wanted[::-1]
    middle = store.transaction("txn_2_3")
    assert middle is not None
    after = [record.transaction.transaction_id for record, _ in store.export(after=middle.sequence)]
    assert after == wanted[::-1][20:]


def test_a_rare_status_costs_a_bounded_look(store: DynamoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call looks at so many payments; the page is short then, and says from where to go on."""
    monkeypatch.setattr(payment_reads, "EXAMINED_MAX", 20)
    monkeypatch.setattr(payment_reads, "_FIRST_READ", 10)
    for number in range(30):
        assert store.apply([AddTransaction(make_transaction(f"txn_{number}"))]) is None
    for number in range(1, 30):
        assert store.apply([DecideTransaction(f"txn_{number}", make_decision(), Status.APPROVED)]) is None
    first = store.transactions(status=Status.PENDING, limit=10)
    assert first.records == ()
    assert first.next_before is not None
    second = store.transactions(status=Status.PENDING, limit=10, before=first.next_before)
    assert [record.transaction.transaction_id for record in second.records] == ["txn_0"]
