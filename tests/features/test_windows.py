"""Windows against an independent definition: plain sums over the list of payments that have arrived."""

import math
from collections.abc import Callable, Sequence
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from cardwatch.features.aggregations import expected_distinct
from cardwatch.features.event import PaymentEvent
from tests.features.payments import ENGINE, START_S, histories, payment, run

WINDOWS = {"1h": (3600, 300), "1d": (86400, 3600), "7d": (7 * 86400, 21600), "30d": (30 * 86400, 86400)}


def in_window(events: Sequence[PaymentEvent], end: int, window_s: int, tile_s: int) -> list[PaymentEvent]:
    """Payments whose tile is that of `end` or one of the `window_s / tile_s` before it."""
    return [event for event in events if 0 <= end // tile_s - event.time_s // tile_s <= window_s // tile_s]


def amount(event: PaymentEvent) -> int:
    """The amount as it is added up: nothing in another currency."""
    return 0 if event.foreign_currency else event.amount_minor


def account_end(events: Sequence[PaymentEvent]) -> int:
    """An account's windows end at the latest time seen."""
    return max(event.time_s for event in events)


def merchant_end(events: Sequence[PaymentEvent]) -> int:
    """A merchant's windows end with the last second of the last minute that closed at least one minute ago."""
    return (max(event.time_s for event in events) // 60 - 1) * 60 - 1


def check_windows(events: list[PaymentEvent], entity: str, end_of: Callable[[Sequence[PaymentEvent]], int]) -> None:
    """Every count and sum of an entity equals the plain sum, for each payment as it arrives."""
    vectors, _ = run(events)
    for position, vector in enumerate(vectors):
        end = end_of(events[: position + 1])
        seen = [event for event in events[:position] if event.time_s <= end]
        for name, (window_s, tile_s) in WINDOWS.items():
            expected = in_window(seen, end, window_s, tile_s)
            assert vector[f"{entity}_count_{name}"] == len(expected)
            assert vector[f"{entity}_sum_{name}"] == sum(map(amount, expected))


@given(histories())
def test_account_windows_are_the_sums_of_their_tiles(events: list[PaymentEvent]) -> None:
    """Counts and sums equal the definition exactly, late payments included."""
    check_windows(events, "account", account_end)


@given(histories())
def test_merchant_windows_see_closed_minutes_alone(events: list[PaymentEvent]) -> None:
    """What the last two minutes brought is not counted yet, and all before it is."""
    check_windows(events, "merchant", merchant_end)


@given(histories())
def test_small_payments_are_counted_by_amount(events: list[PaymentEvent]) -> None:
    """Only payments below 2.00 in the account's currency count as small."""
    vectors, _ = run(events)
    for position, vector in enumerate(vectors):
        window = in_window(events[:position], account_end(events[: position + 1]), 3600, 300)
        assert vector["account_small_1h"] == sum(not e.foreign_currency and e.amount_minor < 200 for e in window)


@given(histories())
def test_merchant_history_sees_closed_minutes_alone(events: list[PaymentEvent]) -> None:
    """Number, mean, age and distinct accounts are those of the payments whose minute has closed."""
    vectors, _ = run(events)
    for position, vector in enumerate(vectors):
        end = merchant_end(events[: position + 1])
        seen = [event for event in events[:position] if event.time_s <= end]
        own = [event.amount_minor for event in seen if not event.foreign_currency]
        bits = {crc32(str(e.account).encode()) % 62 for e in in_window(seen, end, 86400, 21600)}
        assert vector["merchant_payments"] == len(seen)
        assert vector["merchant_accounts_1d"] == expected_distinct()[len(bits)]
        if own:
            assert vector["merchant_amount_mean"] == sum(own) / len(own)
        else:
            assert math.isnan(vector["merchant_amount_mean"])
        if seen:
            first = min(event.time_s for event in seen) // 60 * 60
            assert vector["merchant_age_days"] == (end - first) / 86400
        else:
            assert math.isnan(vector["merchant_age_days"])


@given(histories())
def test_usual_is_a_daily_rate_over_the_known_time(events: list[PaymentEvent]) -> None:
    """The usual divides the 30 days by themselves, or by the account's age of at least one day."""
    vectors, _ = run(events)
    for position, vector in enumerate(vectors[1:], 1):
        end = account_end(events[: position + 1])
        age = end - min(event.time_s for event in events[:position])
        days = min(max(age, 86400), 30 * 86400) / 86400
        usual = vector["account_count_30d"] / days
        assert vector["account_usual_per_day"] == usual
        assert vector["account_age_days"] == age / 86400
        if usual:
            assert vector["account_count_1h_to_usual"] == vector["account_count_1h"] * 24 / usual
        else:
            assert math.isnan(vector["account_count_1h_to_usual"])


ORDERLESS = ("count", "sum", "usual", "small", "amount_m", "amount_q", "payments", "age", "night_share", "accounts")
ORDERED = ("large",)
"""What is large is measured by the median of its time."""


@given(st.data(), histories())
def test_the_order_of_arrival_leaves_no_trace_in_sums(data: st.DataObject, events: list[PaymentEvent]) -> None:
    """Counts, sums and quantiles, and the whole of a merchant's state, are the same whatever came first."""
    shuffled = data.draw(st.permutations(events))
    _, states = run(events)
    _, others = run(shuffled)
    last = payment(max(event.time_s for event in events) + data.draw(st.integers(0, 100_000)))
    vector, other = (dict(zip(ENGINE.names, ENGINE.read(last, s), strict=True)) for s in (states, others))
    for name in ENGINE.names:
        if any(word in name for word in ORDERLESS) and not any(word in name for word in ORDERED):
            assert vector[name] == other[name] or (math.isnan(vector[name]) and math.isnan(other[name])), name
    at = list(states).index("merchant")
    assert ENGINE.dump(states)[at] == ENGINE.dump(others)[at]


def test_a_window_covers_its_length_and_at_most_one_tile_more() -> None:
    """A payment is in the hour for at least an hour and for less than an hour and five minutes."""
    for offset in range(0, 300, 37):
        vectors, _ = run([payment(START_S + offset), payment(START_S + offset + 3600)])
        assert vectors[1]["account_count_1h"] == 1
        vectors, _ = run([payment(START_S + offset), payment(START_S + offset + 3900)])
        assert vectors[1]["account_count_1h"] == 0


def test_a_payment_later_than_the_window_reaches_changes_no_window() -> None:
    """What arrives after its tile has left counts for the history, but no window."""
    vectors, _ = run([payment(START_S), payment(START_S - 40 * 86400), payment(START_S + 1)])
    assert vectors[2]["account_count_30d"] == 1
    assert vectors[2]["account_payments"] == 2
