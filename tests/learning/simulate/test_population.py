"""The simulated population is repeatable, realistic in its proportions, and honest about what it makes up."""

import hashlib
from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from cardwatch.domain.history import HistoryRow
from cardwatch.domain.times import DAY_MS
from cardwatch.learning.simulate.cities import FOREIGN_CITIES, HOME_CITIES
from cardwatch.learning.simulate.population import PopulationSpec, simulate_population

SPEC = PopulationSpec(seed=11, accounts=400, days=90)


@pytest.fixture(scope="module")
def rows() -> list[HistoryRow]:
    """Return a small population's payments."""
    return list(simulate_population(SPEC))


def digest(rows: list[HistoryRow]) -> str:
    """Hash every value of every row."""
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()


def test_a_seed_gives_the_same_payments_again(rows: list[HistoryRow]) -> None:
    """Two runs agree in every value; another seed gives others."""
    assert digest(rows) == digest(list(simulate_population(SPEC)))
    other = msgspec.structs.replace(SPEC, seed=12)
    assert digest(rows) != digest(list(simulate_population(other)))


def test_a_seed_gives_the_same_payments_on_every_platform() -> None:
    """The digest that was written down when the simulator was last changed still comes out."""
    small = list(simulate_population(PopulationSpec(seed=8, accounts=20, days=30)))
    assert digest(small)[:16] == "3a83ec3b52617831"


def test_payments_come_in_order_of_time_and_id(rows: list[HistoryRow]) -> None:
    """The stream is what a replay may read as it comes, with every id once."""
    order = [(row.transaction.timestamp_ms, row.transaction.transaction_id) for row in rows]
    assert all(earlier < later for earlier, later in pairwise(order))
    assert len({row.transaction.transaction_id for row in rows}) == len(rows)


def test_fraud_is_rare_and_of_every_kind() -> None:
    """Three to six payments in a thousand are fraud, by card testing, lost cards, takeovers, leaks and new accounts."""
    many = list(simulate_population(msgspec.structs.replace(SPEC, accounts=1500)))
    scenarios = Counter(row.scenario for row in many if row.is_fraud)
    assert 0.003 <= scenarios.total() / len(many) <= 0.006
    kinds = {"card_testing", "lost_card", "account_takeover", "compromised_merchant", "new_account"}
    assert kinds == set(scenarios)


def test_an_account_opened_for_fraud_makes_large_payments_and_no_other(rows: list[HistoryRow]) -> None:
    """One to three of at least 200.00, none of them honest, by one to five in a hundred of the accounts."""
    opened = Counter(row.transaction.user_id for row in rows if row.scenario == "new_account")
    assert 0.01 <= len(opened) / SPEC.accounts <= 0.05
    theirs = [row for row in rows if row.transaction.user_id in opened]
    assert {row.scenario for row in theirs} == {"new_account"}
    assert all(row.is_fraud and row.transaction.amount.minor >= 20_000 for row in theirs)
    assert set(opened.values()) <= {1, 2, 3}


def test_honest_payments_look_like_fraud_at_times(rows: list[HistoryRow]) -> None:
    """Trips, large purchases and sprees, and places that do not resolve, are among the genuine payments."""
    genuine = [row for row in rows if not row.is_fraud]
    assert {"everyday", "travel", "large_purchase", "spree"} == {row.scenario for row in genuine}
    unresolved = [row for row in genuine if row.transaction.location and row.transaction.place is None]
    assert 0.002 < len(unresolved) / len(genuine) < 0.03
    assert any(row.transaction.amount.currency != "USD" for row in genuine)


def test_accounts_are_new_at_every_point_of_the_time_line(rows: list[HistoryRow]) -> None:
    """Every third of the time line has its share of first payments, nearly all genuine."""
    first: dict[str, HistoryRow] = {}
    for row in rows:
        first.setdefault(row.transaction.user_id, row)
    start_ms = SPEC.first_day * DAY_MS
    thirds = Counter((row.transaction.timestamp_ms - start_ms) // (30 * DAY_MS) for row in first.values())
    assert min(thirds[third] for third in range(3)) > 0.1 * len(first)
    assert sum(bool(row.is_fraud) for row in first.values()) < 0.04 * len(first)


def test_labels_are_known_later_than_their_payments(rows: list[HistoryRow]) -> None:
    """No label is available before its payment; most frauds take days."""
    delays = [(row.label_available_ms or 0) - row.transaction.timestamp_ms for row in rows if row.is_fraud]
    assert min(delays) >= DAY_MS
    assert sorted(delays)[len(delays) // 2] >= 3 * DAY_MS


def test_holders_live_in_cities_that_exist() -> None:
    """Every city has a place on Earth and no two share a name."""
    cities = HOME_CITIES + FOREIGN_CITIES
    assert len({city.name for city in cities}) == len(cities)
    assert all(abs(city.latitude) <= 90 and abs(city.longitude) <= 180 for city in cities)
