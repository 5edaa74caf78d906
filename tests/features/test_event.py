"""What the feature definition sees of a recorded payment."""

import pytest

from cardwatch.domain.account import Account, Home
from cardwatch.domain.money import Money
from cardwatch.domain.place import Place, place_at
from cardwatch.domain.transaction import Transaction
from cardwatch.features.event import payment_event

SEATTLE = place_at(47.6, -122.33, name="Seattle, WA", country="US")
PARIS = place_at(48.85, 2.35, name="Paris, FR", country="FR")


def recorded(
    *,
    location: str | None = None,
    place: Place | None = None,
    merchant_place: Place | None = None,
    country: str | None = None,
    currency: str = "USD",
) -> Transaction:
    """Return a recorded payment."""
    return Transaction(
        transaction_id="txn_1",
        user_id="user_001",
        amount=Money(475, currency),
        merchant="Starbucks",
        merchant_id="starbucks",
        timestamp_ms=1_700_000_000_999,
        received_at_ms=1_700_000_001_000,
        fingerprint="f",
        account_currency="USD",
        utc_offset_s=-8 * 3600,
        location=location,
        place=place,
        merchant_place=merchant_place,
        country=country,
    )


def test_keys_times_and_amount_are_taken_over_as_integers() -> None:
    """Seconds are whole, local time is shifted by the recorded offset, the merchant is known by its id."""
    event = payment_event(recorded(), None)
    assert (event.account, event.merchant, event.amount_minor) == ("user_001", "starbucks", 475)
    assert (event.time_s, event.local_time_s) == (1_700_000_000, 1_699_971_200)
    assert event.foreign_currency is False
    assert payment_event(recorded(currency="EUR"), None).foreign_currency is True


def test_home_is_known_through_the_account_alone() -> None:
    """Without an account, or without a resolved home, there is no home."""
    account = Account(user_id="user_001", home=Home(location="Seattle, WA", place=SEATTLE))
    assert payment_event(recorded(), account).home == (SEATTLE.x, SEATTLE.y, SEATTLE.z)
    assert payment_event(recorded(), None).home is None
    assert payment_event(recorded(), Account(user_id="user_001")).home is None


@pytest.mark.parametrize(
    ("location", "place", "unresolved"),
    [
        (None, None, False),
        ("", None, False),
        ("Unknown Location", None, True),
        ("Seattle, WA", SEATTLE, False),
        ("Online", None, False),
        (" internet ", None, False),
    ],
)
def test_a_location_is_unresolved_only_if_it_claims_a_place_nobody_knows(
    location: str | None, place: Place | None, *, unresolved: bool
) -> None:
    """Nothing sent, and online, are no unknown place."""
    assert payment_event(recorded(location=location, place=place), None).place_unresolved is unresolved


def test_the_place_is_the_payments_else_the_merchants() -> None:
    """The payment's own place goes first; the country sent goes before that of the place."""
    event = payment_event(recorded(place=SEATTLE, merchant_place=PARIS), None)
    assert (event.place_name, event.country) == ("Seattle, WA", "US")
    event = payment_event(recorded(merchant_place=PARIS), None)
    assert (event.place_name, event.country) == ("Paris, FR", "FR")
    assert payment_event(recorded(place=SEATTLE, country="CA"), None).country == "CA"
