"""Applying a payment's effect to a state: delivered again it changes nothing, within what the state remembers."""

import pytest

from cardwatch.adapters.dynamodb import Applied, DynamoStore
from cardwatch.adapters.dynamodb.states import RING, Ring
from cardwatch.domain.changes import EraseAccount, PutAccount, PutState
from cardwatch.domain.errors import StoreCorrupt
from tests.builders import NOW_MS, make_account


def one_more(blob: bytes | None) -> bytes:
    """Count a payment."""
    return bytes([(blob or b"\0")[0] + 1])


def apply(store: DynamoStore, sequence: int, *, redelivered: bool = False) -> Applied:
    """Apply a payment to one account's state."""
    return store.apply_state("account", "user_001", sequence=sequence, step=one_more, redelivered=redelivered).applied


def counted(store: DynamoStore) -> int:
    """Return how many payments the state has counted."""
    (state,) = store.states([("account", "user_001")])
    return state[1][0] if state else 0


def test_a_payment_is_counted_once_within_the_next_sixteen(store: DynamoStore) -> None:
    """Whenever it is delivered again while its state remembers it, nothing changes."""
    for sequence in range(1, RING + 1):
        assert apply(store, sequence) is Applied.DONE
        assert apply(store, 1, redelivered=True) is Applied.ALREADY
    assert counted(store) == RING


def test_a_repeated_delivery_past_that_is_left_out_and_reported(store: DynamoStore) -> None:
    """Nobody knows whether it was counted; the state stays as it is."""
    for sequence in range(1, RING + 2):
        assert apply(store, sequence) is Applied.DONE
    assert apply(store, 1, redelivered=True) is Applied.DOUBTFUL
    assert counted(store) == RING + 1


def test_a_first_delivery_that_is_late_is_counted(store: DynamoStore) -> None:
    """Only a delivery known to be a repeated one can have been counted before."""
    for sequence in range(10, RING + 12):
        assert apply(store, sequence) is Applied.DONE
    assert apply(store, 1) is Applied.DONE
    assert counted(store) == RING + 3


def test_a_repeated_delivery_that_was_never_counted_is_counted(store: DynamoStore) -> None:
    """A crash came between the decision and this state: what is above all that was forgotten is surely new."""
    for sequence in range(1, RING + 5):
        assert apply(store, sequence) is Applied.DONE
    assert apply(store, RING + 9, redelivered=True) is Applied.DONE


def test_the_ring_survives_a_state_put_whole(store: DynamoStore) -> None:
    """A label's effect replaces the state and keeps what payments it has counted."""
    assert apply(store, 1) is Applied.DONE
    assert store.apply([PutState("account", "user_001", 2, b"\x07")]) is None
    assert apply(store, 1, redelivered=True) is Applied.ALREADY
    assert apply(store, 2) is Applied.DONE
    assert list(store.states([("account", "user_001")])) == [(3, b"\x08")]


def test_what_was_read_just_before_is_not_read_again(store: DynamoStore) -> None:
    """The first try works on what `states` gave; a newer state is found out by the write and counted upon."""
    store.states([("account", "user_001")])
    other = DynamoStore(store._database.clients, store._database.names)
    assert apply(other, 1) is Applied.DONE
    outcome = store.apply_state("account", "user_001", sequence=2, step=one_more)
    assert outcome.applied is Applied.DONE
    assert counted(store) == 2


def test_an_erased_state_begins_anew(store: DynamoStore) -> None:
    """With its account the state goes, and what payments it had counted."""
    assert store.apply([PutAccount(make_account())]) is None
    assert apply(store, 1) is Applied.DONE
    assert store.apply([EraseAccount("user_001", NOW_MS)]) is None
    assert apply(store, 1) is Applied.DONE
    assert counted(store) == 1


def test_a_ring_forgets_the_oldest_and_knows_the_highest_forgotten() -> None:
    """In whatever order payments came."""
    ring = Ring()
    for sequence in (30, *range(1, RING + 1)):
        ring = ring.with_payment(sequence)
    assert ring == Ring(tuple(range(1, RING + 1)), 30)
    assert Ring.of({"ring": ring.dump()}) == ring


@pytest.mark.parametrize("stored", [b"", b"1234567"])
def test_a_damaged_ring_is_corrupt(stored: bytes) -> None:
    """It is told as such, not as an error of Python's."""
    with pytest.raises(StoreCorrupt):
        Ring.of({"ring": stored})
