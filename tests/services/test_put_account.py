"""An account is replaced as a whole, but for what the conversation did to it."""

from typing import Any

import msgspec
import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.account import Account
from cardwatch.domain.account_submission import AccountSubmission
from cardwatch.domain.changes import PutAccount
from cardwatch.domain.place import Place
from cardwatch.services.put_account import put_account, release_account
from tests.builders import NOW_MS, OTHER_PHONE, PHONE, make_account, make_place


class Nowhere:
    """A gazetteer that knows Seattle."""

    def resolve(self, text: str, *, country: str | None = None) -> Place | None:
        """Find Seattle."""
        return make_place(country=country) if text == "Seattle" else None


def put(store: MemoryStore, *, now_ms: int = NOW_MS, **fields: Any) -> Account:
    """Replace user_001."""
    submission = msgspec.convert(fields, AccountSubmission)
    return put_account("user_001", submission, store=store, gazetteer=Nowhere(), now_ms=now_ms).account


def store_with(**fields: Any) -> MemoryStore:
    """Return a store that knows user_001."""
    store = MemoryStore()
    assert store.apply([PutAccount(make_account(**fields))]) is None
    return store


def test_first_put_creates_and_the_next_replaces() -> None:
    """What is left out takes its default again."""
    store = MemoryStore()
    created = put_account("u", AccountSubmission(name="Ada"), store=store, gazetteer=Nowhere(), now_ms=NOW_MS)
    replaced = put_account("u", AccountSubmission(), store=store, gazetteer=Nowhere(), now_ms=NOW_MS + 1)
    assert (created.created, replaced.created) == (True, False)
    assert (replaced.account.name, replaced.account.created_at_ms, replaced.account.version) == (None, NOW_MS, 2)
    assert store.account("u") == replaced.account


@pytest.mark.parametrize(
    ("fields", "consent", "channels"),
    [
        ({}, False, ()),
        ({"phone_number": PHONE}, True, ("sms",)),
        ({"email": "ada@example.com"}, True, ("email",)),
        ({"phone_number": PHONE, "email": "ada@example.com"}, True, ("sms", "email")),
        ({"phone_number": PHONE, "consent": False}, False, ("sms",)),
        ({"phone_number": PHONE, "channels": ["push"]}, True, ("push",)),
    ],
)
def test_contact_that_is_given_means_consent(fields: dict[str, Any], consent: bool, channels: tuple[str, ...]) -> None:
    """Unless the request says otherwise; channels follow the contacts."""
    account = put(MemoryStore(), **fields)
    assert (account.consent, account.channels) == (consent, channels)


def test_hold_outlives_a_replacement() -> None:
    """Only an analyst ends it."""
    store = store_with(held_since_ms=5)
    assert put(store, phone_number=OTHER_PHONE).held_since_ms == 5
    released = release_account("user_001", store=store)
    assert released is not None
    assert released.held_since_ms is None
    assert store.account("user_001") == released


def test_a_changed_number_is_noted_with_its_time() -> None:
    """A first number is no change, nor is the same one written otherwise; taking it away is."""
    store = store_with(phone_number=None)
    assert put(store, phone_number=PHONE).phone_changed_at_ms is None
    assert put(store, phone_number="+1 (202) 555-0101").phone_changed_at_ms is None
    assert put(store, phone_number=OTHER_PHONE).phone_changed_at_ms == NOW_MS
    store = store_with(phone_number=PHONE)
    assert put(store, phone_number=None).phone_changed_at_ms == NOW_MS
    assert put(store, phone_number=OTHER_PHONE).phone_changed_at_ms == NOW_MS


def test_a_number_after_a_removal_is_a_change() -> None:
    """Who takes the number away first and gives another one later gets around no limit; nor with the same one."""
    for later in (OTHER_PHONE, PHONE):
        store = store_with(phone_number=PHONE)
        assert put(store, phone_number=None, now_ms=NOW_MS).phone_changed_at_ms == NOW_MS
        assert put(store, phone_number=None, now_ms=NOW_MS + 1).phone_changed_at_ms == NOW_MS
        assert put(store, phone_number=later, now_ms=NOW_MS + 2).phone_changed_at_ms == NOW_MS + 2


def test_former_numbers_and_addresses_are_remembered() -> None:
    """Each once, the latest last, 20 at most; one that came back is no former one."""
    store = store_with(phone_number=PHONE, email="one@example.com")
    assert put(store, phone_number=PHONE, email="one@example.com").former_addresses == ()
    changed = put(store, phone_number=OTHER_PHONE, email="two@example.com")
    assert changed.former_addresses == (PHONE, "one@example.com")
    assert set(changed.addresses) == {OTHER_PHONE, "two@example.com", PHONE, "one@example.com"}
    assert put(store, phone_number=PHONE).former_addresses == ("one@example.com", OTHER_PHONE, "two@example.com")
    for number in range(30):
        account = put(store, phone_number=PHONE, email=f"{number}@example.com")
    assert account.former_addresses == tuple(f"{number}@example.com" for number in range(9, 29))


def test_release_of_an_account_that_is_not_held_writes_nothing() -> None:
    """Nor of one that is unknown."""
    store = store_with()
    released = release_account("user_001", store=store)
    assert released is not None
    assert released.version == 1
    assert release_account("nobody", store=store) is None


def test_home_resolves_or_is_kept_in_words() -> None:
    """Coordinates win; an unknown place stays a text."""
    store = MemoryStore()
    assert put(store, home={"location": "Seattle"}).home.place is not None
    assert put(store, home={"location": "Nowhere"}).home.place is None
    placed = put(store, home={"location": "Seattle", "latitude": 1.0, "longitude": 2.0}).home.place
    assert placed is not None
    assert (placed.latitude, placed.name) == (1.0, "Seattle")
