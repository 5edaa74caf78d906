"""The contract of reading accounts and of the entity states."""

from cardwatch.domain.changes import PutAccount, PutState
from cardwatch.ports import Store
from tests.builders import OTHER_PHONE, make_account


def test_an_unknown_account_is_none(store: Store) -> None:
    """There is nothing to read of an account that was never put."""
    assert store.account("absent") is None


def test_an_account_comes_back_as_put(store: Store) -> None:
    """The latest version counts, with every field."""
    second = make_account(
        version=2, phone_number=OTHER_PHONE, channels=("sms", "email"), held_since_ms=5, language="de"
    )
    assert store.apply([PutAccount(make_account()), PutAccount(second)]) is None
    assert store.account("user_001") == second
    assert store.accounts(limit=10) == [second]


def test_accounts_are_listed_in_order_of_their_ids(store: Store) -> None:
    """Pages continue after the last id, without gap or repeat."""
    names = [f"user_{number:03}" for number in range(25)]
    for name in reversed(names):
        assert store.apply([PutAccount(make_account(name))]) is None
    seen: list[str] = []
    while page := store.accounts(limit=10, after=seen[-1] if seen else ""):
        assert len(page) <= 10
        seen += [account.user_id for account in page]
    assert seen == names


def test_ids_are_ordered_by_code_point(store: Store) -> None:
    """Order does not depend on a locale: capitals before small letters before other alphabets."""
    for name in ("b", "ä", "B", "a", "😀", "zz"):
        assert store.apply([PutAccount(make_account(name))]) is None
    assert [account.user_id for account in store.accounts(limit=10)] == ["B", "a", "b", "zz", "ä", "😀"]


def test_states_come_in_the_order_asked(store: Store) -> None:
    """Each key has its version and blob, None where there is none, repeated when asked twice."""
    changes = [
        PutState("account", "a", 1, b"\x00\xff"),
        PutState("account", "a", 2, b"second"),
        PutState("merchant", "a", 1, b""),
    ]
    assert store.apply(changes) is None
    keys = [("merchant", "a"), ("account", "absent"), ("account", "a"), ("account", "a")]
    assert list(store.states(keys)) == [(1, b""), None, (2, b"second"), (2, b"second")]
    assert list(store.states([])) == []


def test_large_states_survive(store: Store) -> None:
    """A state may outgrow any page of a backend."""
    blob = bytes(range(256)) * 80
    assert store.apply([PutState("account", "a", 1, blob)]) is None
    assert list(store.states([("account", "a")])) == [(1, blob)]
