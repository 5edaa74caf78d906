"""Features that read labels, against an independent definition; and that no label counts before its delay."""

import math
import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardwatch.features.engine import FeatureEngine, States, default_engine
from cardwatch.features.event import PaymentEvent
from cardwatch.features.spec import LABEL_TILE_S, LABEL_WINDOW_S
from tests.features.payments import ENGINE, START_S, fresh, payment

DAY = 86_400
DELAY = ENGINE.label_delay_s
MONTH_TILES = 30 * DAY // LABEL_TILE_S

Labelled = tuple[PaymentEvent, bool]
"""A payment, and whether it turns out to be fraud."""


@st.composite
def labelled_histories(draw: st.DrawFn) -> list[Labelled]:
    """Payments of one account at one merchant in order of time, half of them fraud; some are high, some far apart."""
    events, time_s = [], START_S
    for gap in draw(st.lists(st.sampled_from([0, 60, 3600, 20_000, DAY, 3 * DAY, 8 * DAY]), min_size=1, max_size=30)):
        time_s += gap + draw(st.integers(0, 4000))
        event = payment(time_s, device="phone", amount_minor=draw(st.sampled_from([100, 500, 900, 9_000])))
        events.append((event, draw(st.booleans())))
    return events


def vectors_with_labels(events: Sequence[Labelled], *, engine: FeatureEngine = ENGINE) -> list[dict[str, float]]:
    """Run payments in order, each label applied at the end of the delay of its payment, before what happens then."""
    states = fresh(events[0][0])
    waiting: list[Labelled] = []
    vectors = []
    for event, fraud in events:
        while waiting and waiting[0][0].time_s + engine.label_delay_s <= event.time_s:
            apply_label(waiting.pop(0), states, engine)
        vectors.append(dict(zip(engine.names, engine.step(event, states), strict=True)))
        waiting.append((event, fraud))
    return vectors


def apply_label(labelled: Labelled, states: States, engine: FeatureEngine = ENGINE) -> None:
    """Apply a label to the states that labels change."""
    event, fraud = labelled
    wanted = {entity for entity, _ in engine.labelled_keys(event)}
    if fraud:
        engine.relabel(event, {entity: state for entity, state in states.items() if entity in wanted}, 1)


def known(events: Sequence[Labelled], now: int) -> list[Labelled]:
    """Payments in tiles that lie wholly before the delay and that state still remembers."""
    last = (now - DELAY + 1) // LABEL_TILE_S - 1
    oldest = now // LABEL_TILE_S - LABEL_WINDOW_S // LABEL_TILE_S
    return [(e, fraud) for e, fraud in events if oldest <= e.time_s // LABEL_TILE_S <= last]


@given(labelled_histories())
def test_risk_is_the_smoothed_share_of_confirmed_fraud_in_a_month(events: list[Labelled]) -> None:
    """Frauds and payments of the last 30 days that are known, drawn to the prior; the account counts its frauds."""
    for position, vector in enumerate(vectors_with_labels(events)):
        now = events[position][0].time_s
        last = (now - DELAY + 1) // LABEL_TILE_S - 1
        month = [f for e, f in known(events[:position], now) if e.time_s // LABEL_TILE_S > last - MONTH_TILES]
        assert vector["merchant_risk_30d"] == (sum(month) * 1000 + 40) / ((len(month) + 5) * 1000.0)
        assert vector["device_risk_30d"] == vector["merchant_risk_30d"]
        assert vector["merchant_known_30d"] == len(month)
        assert vector["account_frauds_30d"] == sum(month)


@given(labelled_histories())
def test_the_run_is_what_followed_the_last_genuine_payment(events: list[Labelled]) -> None:
    """From the newest known tile back to one with a genuine payment; high amounts neither count nor end it."""
    high = highs(events)
    for position, vector in enumerate(vectors_with_labels(events)):
        now = events[position][0].time_s
        seen = known(events[:position], now)
        genuine = [e.time_s // LABEL_TILE_S for e, fraud in seen if not fraud]
        after = [
            e.time_s // LABEL_TILE_S
            for at, (e, fraud) in enumerate(events[:position])
            if (e, fraud) in seen and fraud and not high[at] and e.time_s // LABEL_TILE_S > max(genuine, default=-1)
        ]
        assert vector["merchant_fraud_run"] == len(after)
        assert same(
            vector["merchant_fraud_run_days"],
            [(now // LABEL_TILE_S - min(after)) * LABEL_TILE_S / DAY] if after else [],
        )
        expected = [(now // LABEL_TILE_S - max(genuine)) * LABEL_TILE_S / DAY] if genuine else []
        assert same(vector["merchant_genuine_days"], expected)


def highs(events: Sequence[Labelled]) -> list[bool]:
    """Whether each payment is high: four times the mean of what the merchant's closed minutes held when told."""
    found = []
    for event, _ in events:
        told = event.time_s + DELAY
        before = [e for e, _ in events if e.time_s < told]
        newest = max(e.time_s for e in before)
        closed = [e.amount_minor for e in before if e.time_s // 60 < newest // 60 - 1]
        found.append(bool(closed) and event.amount_minor * len(closed) >= 4 * sum(closed))
    return found


def same(value: float, expected: list[float]) -> bool:
    """Whether a value is the expected one, or missing where none is expected."""
    return value == expected[0] if expected else math.isnan(value)


@settings(deadline=None)  # the first use of a delay generates its programs
@given(
    labelled_histories(),
    st.randoms(use_true_random=False),
    st.sampled_from([0, 1, 5, 12 * 3600, DAY, 7 * DAY, 30 * DAY]),
)
def test_no_label_counts_before_its_delay(events: list[Labelled], chance: random.Random, delay_s: int) -> None:
    """Flipping any label of a payment younger than the delay changes no bit, even when it is told at once."""
    engine = default_engine(delay_s)
    last = events[-1][0]
    vectors = []
    for _ in range(2):
        states = fresh(last)
        for event, fraud in events[:-1]:
            engine.update(event, states)
            young = event.time_s > last.time_s - delay_s
            apply_label((event, chance.random() < 0.5 if young else fraud), states, engine)
        vectors.append([value if not math.isnan(value) else None for value in engine.read(last, states)])
    assert vectors[0] == vectors[1]


@given(labelled_histories())
def test_a_label_taken_back_leaves_no_trace(events: list[Labelled]) -> None:
    """Fraud that is withdrawn counts as if it had never been said."""
    states, plain = fresh(events[0][0]), fresh(events[0][0])
    for event, _ in events:
        engine_step(event, states, plain)
    for event, _ in events:
        wanted = {entity: states[entity] for entity, _ in ENGINE.labelled_keys(event)}
        ENGINE.relabel(event, wanted, 1)
        ENGINE.relabel(event, wanted, -1)
    later = payment(events[-1][0].time_s + 8 * DAY, device="phone")
    assert str(ENGINE.read(later, states)) == str(ENGINE.read(later, plain))


def engine_step(event: PaymentEvent, *all_states: States) -> None:
    """Apply a payment to several states."""
    for states in all_states:
        ENGINE.update(event, states)


def test_a_label_of_a_payment_that_state_forgot_or_never_saw_changes_nothing() -> None:
    """What lies before the labels' window, or was never applied, is no fraud of the merchant's."""
    states = fresh(payment(START_S, device="phone"))
    ENGINE.update(payment(START_S + 80 * DAY, device="phone"), states)
    before = ENGINE.dump(states)
    for time_s in (START_S, START_S + 81 * DAY):
        apply_label((payment(time_s, device="phone"), True), states)
    assert ENGINE.dump(states) == before


def test_the_delay_is_part_of_the_definition_but_not_of_what_is_stored() -> None:
    """Engines with other delays have other hashes and understand each other's states."""
    other = FeatureEngine(label_delay_s=DAY)
    event = payment(START_S)
    states = fresh(event)
    ENGINE.update(event, states)
    assert other.spec_hash != ENGINE.spec_hash
    assert all(other.understands(blob) for blob in ENGINE.dump(states))


@pytest.mark.parametrize("delay_s", [-1, 30 * DAY + 1])
def test_a_delay_that_labels_are_not_kept_for_is_refused(delay_s: int) -> None:
    """Longer than labels are kept, or negative."""
    with pytest.raises(ValueError, match="label delay"):
        FeatureEngine(label_delay_s=delay_s)


def test_the_account_and_pair_of_a_label_keep_their_other_features() -> None:
    """A label moves nothing but label features."""
    event = payment(START_S, device="phone")
    states, plain = fresh(event), fresh(event)
    engine_step(event, states, plain)
    apply_label((event, True), states)
    later = msgspec.structs.replace(event, time_s=START_S + 20 * DAY)
    pairs = zip(ENGINE.names, ENGINE.read(later, states), ENGINE.read(later, plain), strict=True)
    moved = {name for name, one, other in pairs if str(one) != str(other)}
    assert moved == {
        "account_frauds_30d",
        "merchant_risk_30d",
        "merchant_fraud_run",
        "merchant_fraud_run_days",
        "merchant_genuine_days",
        "device_risk_30d",
    }
