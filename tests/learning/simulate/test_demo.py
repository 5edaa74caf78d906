"""Seed accounts, their everyday history, and the trickle of live payments."""

from itertools import islice

import phonenumbers
import pytest

from cardwatch.domain.account import Account
from cardwatch.domain.place import Place, place_at
from cardwatch.domain.times import DAY_MS
from cardwatch.learning.seed_accounts import seed_accounts
from cardwatch.learning.simulate.demo import everyday_history, live_payments

UNTIL_MS = 1_795_000_000_000
ACCOUNTS = seed_accounts(created_at_ms=1)


class EverywhereAtNull:
    """A gazetteer that resolves everything to one point."""

    def resolve(self, text: str, *, country: str | None = None) -> Place | None:
        """Return the point at latitude and longitude 0."""
        return place_at(0.0, 0.0, name=text, country=country)


def test_seed_accounts_can_be_asked_and_are_distinct() -> None:
    """Five accounts in dollars with consent, each with its own valid number that belongs to nobody."""
    assert [account.user_id for account in ACCOUNTS] == [f"user_00{number}" for number in range(1, 6)]
    assert all(account.consent and "sms" in account.channels and account.currency == "USD" for account in ACCOUNTS)
    numbers = [account.phone_number or "" for account in ACCOUNTS]
    assert len(set(numbers)) == 5
    assert all(number[5:10] == "55501" for number in numbers)
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers)


def test_seed_accounts_live_where_the_contract_says() -> None:
    """Seattle, Madison and Chicago are the homes of the first three."""
    assert [account.home.location for account in ACCOUNTS[:3]] == ["Seattle, WA", "Madison, WI", "Chicago, IL"]


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.user_id)
def test_history_is_ninety_everyday_days(account: Account) -> None:
    """History fills the days asked for, in order, at home or near it, without large or placeless payments."""
    history = everyday_history(account, seed=1, days=90, until_ms=UNTIL_MS)
    times = [transaction.timestamp_ms for transaction in history]
    assert times == sorted(times)
    assert UNTIL_MS - 90 * DAY_MS <= times[0] < UNTIL_MS - 80 * DAY_MS
    assert UNTIL_MS - 10 * DAY_MS < times[-1] < UNTIL_MS
    assert 60 <= len(history) <= 400
    assert max(transaction.amount.minor for transaction in history) <= 40_000
    assert all(transaction.place is not None for transaction in history if transaction.location is not None)


def test_history_is_the_same_again() -> None:
    """The same account, seed and time give the same payments with the same ids."""
    first, again = (everyday_history(ACCOUNTS[0], seed=1, days=90, until_ms=UNTIL_MS) for _ in range(2))
    assert first == again
    assert everyday_history(ACCOUNTS[0], seed=2, days=90, until_ms=UNTIL_MS) != first


def test_history_takes_its_places_from_the_gazetteer_given() -> None:
    """With a gazetteer the places are those that live payments will resolve to."""
    history = everyday_history(ACCOUNTS[0], seed=1, days=30, until_ms=UNTIL_MS, gazetteer=EverywhereAtNull())
    assert {transaction.place.latitude for transaction in history if transaction.place is not None} == {0.0}


def test_trickle_is_mostly_everyday_and_repeatable() -> None:
    """A few payments in a hundred are suspicious, some of them of the given accounts; the seed decides all."""
    payments = list(islice(live_payments(ACCOUNTS, seed=4), 3000))
    assert payments == list(islice(live_payments(ACCOUNTS, seed=4), 3000))
    suspicious = [payment for payment in payments if payment.suspicious]
    assert 60 <= len(suspicious) <= 150
    assert any(payment.user_id.startswith("user_") for payment in suspicious)
    assert all(payment.amount.minor > 0 for payment in payments)
