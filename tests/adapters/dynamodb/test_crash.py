"""A handler that dies between any two calls is delivered its payment again, and everything ends as if it had not."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from cardwatch.adapters.dynamodb import Applied, Clients, DynamoStore, TableNames
from cardwatch.adapters.dynamodb.database import Failed, Write
from cardwatch.domain.changes import AddTransaction, DecideTransaction
from cardwatch.domain.transaction import Status
from tests.builders import make_decision, make_transaction

KEYS = (("account", "user_001"), ("merchant", "corner cafe"), ("device", "dev-1"), ("pair", "user_001\x1fcorner cafe"))
CALLS = 1 + len(KEYS)
"""Writes of scoring one payment: its decision, and each of its states."""


class Died(BaseException):
    """The process is gone."""


def handle(store: DynamoStore, transaction_id: str, sequence: int) -> list[Applied]:
    """Score a payment as the stream's consumer does: decide it, then count it in each state."""
    change = DecideTransaction(transaction_id, make_decision(), Status.APPROVED)
    redelivered = store.apply([change]) is not None
    return [
        store.apply_state(
            entity, key, sequence=sequence, step=partial(counted, transaction_id), redelivered=redelivered
        ).applied
        for entity, key in KEYS
    ]


def counted(transaction_id: str, blob: bytes | None) -> bytes:
    """Note a payment in a state."""
    return (blob or b"") + transaction_id.encode() + b";"


def dying(write: Callable[[Sequence[Write]], Failed | None], calls: int, *, done: bool) -> Callable[..., Failed | None]:
    """Return a write that kills at a call: before it is sent, or once it is done but before its answer is read."""
    left = calls

    def write_or_die(writes: Sequence[Write]) -> Failed | None:
        nonlocal left
        left -= 1
        if left == 0:
            if done:
                write(writes)
            raise Died
        return write(writes)

    return write_or_die


@pytest.mark.parametrize("done", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_a_payment_is_counted_once_wherever_its_handler_died(
    clients: Clients, names: TableNames, monkeypatch: pytest.MonkeyPatch, call: int, *, done: bool
) -> None:
    """Decided once, and once in every state, with another payment in between and one after."""
    store = DynamoStore(clients, names)
    sequences = {}
    for name in ("txn_1", "txn_2"):
        assert store.apply([AddTransaction(make_transaction(name))]) is None
        record = store.transaction(name)
        assert record is not None
        sequences[name] = record.sequence
    victim = DynamoStore(clients, names)
    monkeypatch.setattr(victim._database, "write", dying(victim._database.write, call, done=done))
    with pytest.raises(Died):
        handle(victim, "txn_1", sequences["txn_1"])
    assert handle(store, "txn_2", sequences["txn_2"]) == [Applied.DONE] * len(KEYS)
    handle(store, "txn_1", sequences["txn_1"])
    assert handle(store, "txn_1", sequences["txn_1"]) == [Applied.ALREADY] * len(KEYS)
    for state in store.states(KEYS):
        assert state is not None
        assert sorted(state[1].decode().split(";")) == ["", "txn_1", "txn_2"]
    assert [entry.kind for entry in store.log(after=2, limit=9)] == ["transaction.decided"] * 2
