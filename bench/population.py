"""Who pays in the benchmarks: accounts with phones and a simulated history, and the payments they make next."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.account_submission import AccountSubmission, HomeSubmission
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.transaction import Transaction
from cardwatch.features.engine import default_engine
from cardwatch.learning.simulate.demo import everyday_history
from cardwatch.ports import Gazetteer, Store
from cardwatch.runtime.bootstrap import open_gazetteer, open_store
from cardwatch.runtime.settings import read_settings
from cardwatch.services.import_history import import_history
from cardwatch.services.put_account import put_account

HOMES = (
    ("Seattle, WA", "America/Los_Angeles"),
    ("Madison, WI", "America/Chicago"),
    ("Chicago, IL", "America/Chicago"),
    ("Boston, MA", "America/New_York"),
)
SUSPICIOUS_SHARE = 0.01
SUSPICIOUS = {"amount": "1500.00", "merchant": "Suspicious Store", "location": "Unknown Location"}
"""The payment of the setup guide."""

_GROUP_ACCOUNTS = 1_000
_HABITS_KEPT = 12


class Population(msgspec.Struct, frozen=True):
    """Accounts that are in the store, each with some of its past payments to make new ones of."""

    user_ids: tuple[str, ...]
    habits: tuple[tuple[Transaction, ...], ...]
    history_rows: int


def write_population(data_dir: Path, *, accounts: int, days: int, seed: int = 1) -> Population:
    """Put accounts with phones into a folder's store, and import the history of each."""
    store = open_store(read_settings({}, data_dir=data_dir))
    gazetteer = open_gazetteer()
    now_ms = time.time_ns() // 1_000_000
    habits: list[tuple[Transaction, ...]] = []
    try:
        people = _put_accounts(store, accounts, gazetteer=gazetteer, now_ms=now_ms)
        rows = _history(people, habits, days=days, seed=seed, gazetteer=gazetteer, now_ms=now_ms)
        added = import_history(rows, store=store, engine=default_engine(), now_ms=now_ms).added
    finally:
        store.close()
    return Population(tuple(account.user_id for account in people), tuple(habits), added)


def person(number: int) -> AccountSubmission:
    """Return a holder who can be asked, with a phone of their own."""
    home, zone = HOMES[number % len(HOMES)]
    return AccountSubmission(
        phone_number=f"+1206{2_000_000 + number:07d}", time_zone=zone, home=HomeSubmission(location=home)
    )


def _put_accounts(store: Store, count: int, *, gazetteer: Gazetteer, now_ms: int) -> list[Account]:
    people: list[Account] = []
    for start in range(0, count, _GROUP_ACCOUNTS):
        with store.group():
            for number in range(start, min(start + _GROUP_ACCOUNTS, count)):
                user_id = f"bench_{number:06d}"
                put = put_account(user_id, person(number), store=store, gazetteer=gazetteer, now_ms=now_ms)
                people.append(put.account)
    return people


def _history(
    people: Sequence[Account],
    habits: list[tuple[Transaction, ...]],
    *,
    days: int,
    seed: int,
    gazetteer: Gazetteer,
    now_ms: int,
) -> Iterator[HistoryRow]:
    """Yield the history of each account and keep some of its payments as its habits."""
    for account in people:
        payments = everyday_history(account, seed=seed, days=days, until_ms=now_ms, gazetteer=gazetteer)
        habits.append(payments[-_HABITS_KEPT:])
        for payment in payments:
            yield HistoryRow(payment, account)


def bodies(
    population: Population, *, seed: int, cold: bool = False, suspicious_share: float = SUSPICIOUS_SHARE
) -> Iterator[bytes]:
    """Yield bodies of `POST /transaction` without end: each an account's habit again, or the guide's payment.

    With `cold` each comes from an account that nobody has heard of.
    """
    generator = random.Random(seed)
    number = 0
    while True:
        number += 1
        chosen = generator.randrange(len(population.user_ids))
        body = {"user_id": f"cold_{seed}_{number}" if cold else population.user_ids[chosen]}
        if generator.random() < suspicious_share:
            body |= SUSPICIOUS
        elif population.habits[chosen]:
            body |= _again(generator.choice(population.habits[chosen]))
        else:
            body |= {"amount": "12.50", "merchant": "Corner Coffee"}
        yield msgspec.json.encode(body)


def _again(habit: Transaction) -> dict[str, str]:
    body = {"amount": habit.amount.decimal, "merchant": habit.merchant}
    if habit.location:
        body["location"] = habit.location
    if habit.category:
        body["category"] = habit.category
    return body
