"""What an account's features say about its own amounts, habits and places."""

import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.place import place_at
from cardwatch.features.encode import SCALE_SIZE, amount_scale
from cardwatch.features.event import PaymentEvent
from tests.features.payments import START_S, histories, payment, run

amounts = st.lists(st.one_of(st.integers(1, 500), st.integers(1, 10**12)), min_size=1, max_size=60)


def spend(values: list[int]) -> dict[str, float]:
    """Return the vector of a payment of 10.00 after payments of these amounts, an hour apart."""
    events = [payment(START_S + at * 3600, amount_minor=value) for at, value in enumerate(values)]
    vectors, _ = run([*events, payment(START_S + len(values) * 3600, amount_minor=1000)])
    return vectors[-1]


@given(amounts)
def test_quantiles_lie_within_a_bucket_of_the_exact_ones(values: list[int]) -> None:
    """Median and 90th percentile are off by at most a sixteenth of the exact order statistic, one unit at least."""
    vector = spend(values)
    ordered = sorted(values)
    for name, share in (("account_amount_median", Fraction(1, 2)), ("account_amount_q90", Fraction(9, 10))):
        exact = ordered[math.ceil(len(ordered) * share) - 1]
        assert abs(vector[name] - exact) <= max(exact / 16, 1)


@given(amounts)
def test_mean_largest_and_ratios_are_exact(values: list[int]) -> None:
    """Mean and maximum are those of the list, and ratios divide by the values beside them."""
    vector = spend(values)
    assert vector["account_amount_mean"] == sum(values) / len(values)
    assert vector["amount_to_max"] == 1000 / max(values)
    assert vector["amount_to_median"] == 1000 / vector["account_amount_median"]
    assert vector["amount_to_q90"] == 1000 / vector["account_amount_q90"]


@given(amounts)
def test_deviation_counts_standard_deviations_on_the_doubling_scale(values: list[int]) -> None:
    """From three amounts on it is the z-score of the scaled amount, with a least spread of a quarter doubling."""
    deviation = spend(values)["amount_deviation"]
    if len(values) < 3:
        assert math.isnan(deviation)
        return
    scaled = [amount_scale(value) for value in values]
    spread = max(statistics.pstdev(scaled), 16)
    assert deviation == pytest.approx((amount_scale(1000) - statistics.fmean(scaled)) / spread, rel=1e-9, abs=1e-9)


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_the_amount_scale_keeps_order_and_doublings(one: int, other: int) -> None:
    """A larger amount is never lower on the scale, and doubling adds exactly one octave."""
    low, high = sorted((one, other))
    assert 0 <= amount_scale(low) <= amount_scale(high) < SCALE_SIZE
    assert amount_scale(2 * one) == amount_scale(one) + 64


@given(histories())
def test_every_value_is_finite_or_missing(events: list[PaymentEvent]) -> None:
    """No feature is ever infinite, and each is a float."""
    for vector in run(events)[0]:
        for name, value in vector.items():
            assert type(value) is float, name
            assert not math.isinf(value), name


@given(histories())
def test_distances_are_known_when_both_places_are(events: list[PaymentEvent]) -> None:
    """Distance from home needs home and place, distance and speed need an earlier place; then they are never NaN."""
    placed = False
    for event, vector in zip(events, run(events)[0], strict=True):
        both = event.place is not None and event.home is not None
        assert math.isnan(vector["home_distance_km"]) is not both
        known = placed and event.place is not None
        assert math.isnan(vector["last_place_distance_km"]) is not known
        assert math.isnan(vector["speed_kmh"]) is not known
        placed = placed or event.place is not None


def test_distance_and_speed_are_those_of_the_map() -> None:
    """Seattle to Portland is 234 km; in two hours that is 117 km/h."""
    seattle, portland = place_at(47.6062, -122.3321), place_at(45.5152, -122.6784)
    here, there = ((p.x, p.y, p.z) for p in (seattle, portland))
    vectors, _ = run([payment(START_S, place=here), payment(START_S + 7200, place=there, home=here)])
    assert vectors[1]["home_distance_km"] == pytest.approx(234, abs=1)
    assert vectors[1]["last_place_distance_km"] == vectors[1]["home_distance_km"]
    assert vectors[1]["speed_kmh"] == pytest.approx(117, abs=0.5)


def test_a_foreign_currency_updates_counts_but_no_amounts() -> None:
    """Its amount is not compared with anything, and leaves no trace in what is usual."""
    events = [payment(START_S + at * 60, amount_minor=500) for at in range(5)]
    foreign = payment(START_S + 300, amount_minor=10**9, foreign_currency=True)
    vectors, _ = run([*events, foreign, payment(START_S + 360)])
    before, after = vectors[5], vectors[6]
    missing = [name for name, value in before.items() if math.isnan(value) and "amount" in name]
    assert {"amount", "amount_to_median", "amount_to_q90", "amount_to_max", "amount_deviation"} <= set(missing)
    assert before["foreign_currency"] == 1
    assert after["account_count_1h"] == 6
    assert after["account_sum_1h"] == 2500
    assert after["account_amount_median"] == before["account_amount_median"]


def test_the_holders_clock_tells_night_hour_and_weekend() -> None:
    """01:30 on a Saturday where the holder lives is night and weekend, whatever it is in UTC."""
    saturday = 1_699_666_200  # 2023-11-11T01:30:00 where the holder lives
    vectors, _ = run([payment(saturday + 8 * 3600, local_time_s=saturday)])
    assert (vectors[0]["local_hour"], vectors[0]["night"], vectors[0]["weekend"]) == (1, 1, 1)
    vectors, _ = run([payment(saturday, local_time_s=saturday - 8 * 3600)])
    assert (vectors[0]["local_hour"], vectors[0]["night"], vectors[0]["weekend"]) == (17, 0, 0)


@given(st.lists(st.integers(0, 50), max_size=120))
def test_an_account_remembers_the_merchants_it_used_last(merchants: list[int]) -> None:
    """A merchant is new unless it is among the 16 used last; before the first payment nobody can tell."""
    recent: list[int] = []
    vectors, _ = run([payment(START_S + at, merchant=f"m{key}") for at, key in enumerate(merchants)])
    for key, vector in zip(merchants, vectors, strict=True):
        new = vector["account_new_merchant"]
        assert math.isnan(new) if not recent else new == (key not in recent)
        recent = [key, *(other for other in recent if other != key)][:16]


def test_new_places_and_countries_need_a_place_to_compare() -> None:
    """New place and new country are known only when this payment and an earlier one have one."""
    seattle = {"place": (1, 2, 3), "place_name": "Seattle, WA", "country": "US"}
    paris = {"place": (3, 2, 1), "place_name": "Paris, FR", "country": "FR"}
    vectors, _ = run([payment(START_S + at, **where) for at, where in enumerate([seattle, {}, seattle, paris])])
    assert math.isnan(vectors[0]["account_new_place"])
    assert math.isnan(vectors[1]["account_new_place"])
    assert (vectors[2]["account_new_place"], vectors[2]["account_new_country"]) == (0, 0)
    assert (vectors[3]["account_new_place"], vectors[3]["account_new_country"]) == (1, 1)
