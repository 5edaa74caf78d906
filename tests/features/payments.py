"""Histories of payments for the feature tests, and how they are run."""

from collections.abc import Sequence

from hypothesis import strategies as st

from cardwatch.features.engine import States, default_engine
from cardwatch.features.event import PaymentEvent

ENGINE = default_engine()
START_S = 1_700_000_000


def payment(time_s: int, **fields: object) -> PaymentEvent:
    """Return a payment with everyday values for whatever is not given."""
    given: dict[str, object] = {
        "account": "user_001",
        "merchant": "starbucks",
        "amount_minor": 475,
        "foreign_currency": False,
        "local_time_s": time_s,
    }
    return PaymentEvent(time_s=time_s, **{**given, **fields})  # type: ignore[arg-type]


vectors_on_earth = st.tuples(*[st.integers(-1_000_000, 1_000_000)] * 3)

_lengths_s = st.sampled_from([60, 120, 300, 3600, 3900, 21600, 86400, 90000, 108000, 604800, 626400, 2592000, 2678400])

gaps_s = st.one_of(
    st.integers(-400, 400),
    st.builds(lambda length, off: length + off, _lengths_s, st.integers(-70, 70)),
    st.integers(-8_000, 20_000),
    st.integers(-200_000, 300_000),
    st.integers(-3_000_000, 3_500_000),
)
"""Seconds from one arrival's time to the next: mostly forwards, also late, often near a tile's edge."""


@st.composite
def histories(draw: st.DrawFn, *, size_max: int = 40) -> list[PaymentEvent]:
    """Payments of one account at one merchant, in order of arrival, which is not quite the order of their times."""
    events = []
    time_s = START_S
    for gap in draw(st.lists(gaps_s, min_size=1, max_size=size_max)):
        time_s = max(1, time_s + gap)
        events.append(
            payment(
                time_s,
                account=draw(st.sampled_from(["user_001", "user_002", "user_003"])),
                amount_minor=draw(st.one_of(st.integers(1, 400), st.integers(1, 10**12))),
                foreign_currency=draw(st.booleans()),
                local_time_s=time_s + draw(st.integers(-12, 14)) * 3600,
                home=draw(st.none() | vectors_on_earth),
                place=draw(st.none() | vectors_on_earth),
                place_name=draw(st.none() | st.text(max_size=3)),
                place_unresolved=draw(st.booleans()),
                country=draw(st.none() | st.sampled_from(["US", "FR", "DE"])),
            )
        )
    return events


def run(events: Sequence[PaymentEvent]) -> tuple[list[dict[str, float]], States]:
    """Feed payments into one set of states; returns each vector by name, and the states after all of them."""
    states = fresh(events[0] if events else payment(START_S))
    vectors = [dict(zip(ENGINE.names, ENGINE.step(event, states), strict=True)) for event in events]
    return vectors, states


def fresh(event: PaymentEvent) -> States:
    """Return empty states of the entities that a payment has."""
    keys = ENGINE.keys(event)
    return ENGINE.load(keys, [None] * len(keys))
