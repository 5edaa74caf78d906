"""The engine against an independent definition of every feature, bit by bit, on histories full of edges."""

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.features.event import PaymentEvent

pytest.importorskip("polars", reason="polars is not installed (extra: train)")

from tests.features.oracle import oracle
from tests.features.oracle_parts import Applied

DAY = 86_400
START_S = 1_700_000_000 // DAY * DAY
PAYMENTS = 3_000
LENGTHS_S = (60, 120, 300, 3600, 3900, 10_800, 43_200, DAY, 90_000, 7 * DAY, 14 * DAY + 1, 30 * DAY, 31 * DAY)
"""Lengths of tiles and windows: a payment exactly so much after another lies at an edge."""


def history(seed: int, payments: int = PAYMENTS, *, days: int = 150) -> list[Applied]:
    """Return payments in their order of arrival, with labels among them that may be taken back."""
    draw = random.Random(seed)
    events = [event_of(draw, time_s) for time_s in times(draw, payments, days)]
    events.sort(key=lambda event: event.time_s + lateness_s(draw))
    arrivals = [(float(at), event, 0) for at, event in enumerate(events)]
    for at, event in enumerate(events):
        bad = event.merchant == "shop 1" and event.time_s > START_S + days * DAY // 3
        if bad or draw.random() < 0.15:
            told = at + draw.expovariate(4 / payments) + 0.5
            arrivals.append((told, event, 1))
            if draw.random() < 0.1:
                arrivals.append((told + draw.expovariate(10 / payments), event, -1))
    arrivals.sort(key=lambda arrival: arrival[0])
    return [(event, change) for _, event, change in arrivals]


def times(draw: random.Random, count: int, days: int) -> Iterator[int]:
    """Yield instants: anywhere, at the same second as the one before, soon after it, or at the edge of a window."""
    time_s = START_S
    for _ in range(count):
        kind = draw.random()
        if kind < 0.5:
            time_s = START_S + draw.randrange(days * DAY)
        elif kind < 0.7:
            time_s += draw.choice([0, 0, 1, 59, 60, 61, 300])
        else:
            edge = time_s // 60 * 60 if draw.random() < 0.5 else time_s
            time_s = edge + draw.choice(LENGTHS_S) + draw.choice([-1, 0, 1])
        yield time_s


def lateness_s(draw: random.Random) -> int:
    """How much later than the others a payment arrives."""
    kind = draw.random()
    return 0 if kind < 0.8 else draw.randrange(600) if kind < 0.95 else draw.randrange(40 * DAY)


def event_of(draw: random.Random, time_s: int) -> PaymentEvent:
    """Return a payment of one of few accounts and merchants; what it may lack it lacks at times."""
    account = draw.randrange(7)
    amount = int(draw.lognormvariate(7 + account / 3, 1.1)) if draw.random() < 0.97 else draw.randrange(10**12)
    where = (draw.randrange(-1_000_000, 1_000_000), draw.randrange(-9_000, 9_000), draw.randrange(-9_000, 9_000))
    merchant = draw.randrange(6) if draw.random() < 0.8 else draw.randrange(6, 60)
    return PaymentEvent(
        time_s=time_s,
        account=f"user {account}" if draw.random() < 0.98 else None,
        merchant=f"shop {merchant}" if draw.random() < 0.98 else None,
        amount_minor=max(1, amount if draw.random() < 0.9 else draw.randrange(1, 400)),
        foreign_currency=draw.random() < 0.1,
        local_time_s=time_s + (account - 3) * 3600,
        home=(-300_000, -700_000, 640_000 + account) if account else None,
        place=where if draw.random() < 0.7 else None,
        place_name=f"town {draw.randrange(30)}" if draw.random() < 0.5 else None,
        place_unresolved=draw.random() < 0.05,
        country=draw.choice([None, "US", "US", "CA", "FR", "DE", "IT", "ES", "PT", "AT", "CH", "NL"]),
        device=f"phone {draw.randrange(14)}" if draw.random() < 0.7 else None,
    )


def engine_vectors(engine: FeatureEngine, applied: Sequence[Applied]) -> NDArray[np.float64]:
    """Return the engine's vectors of the payments (payments, features)."""
    states: dict[tuple[str, str], list[int]] = {}
    vectors = []
    for event, change in applied:
        keys = engine.labelled_keys(event) if change else engine.keys(event)
        fresh = engine.load(keys, [None] * len(keys))
        found = {entity: states.setdefault((entity, key), fresh[entity]) for entity, key in keys}
        if change:
            engine.relabel(event, found, change)
        else:
            vectors.append(engine.step(event, found))
    return np.array(vectors)


@pytest.mark.parametrize(("seed", "delay_days"), [(1, 7), (2, 7), (3, 0), (4, 30)])
def test_every_feature_equals_its_definition_in_every_bit(seed: int, delay_days: int) -> None:
    """All features of all payments, under late arrival, ties, edges of tiles, absent parts and labels taken back."""
    engine = default_engine(delay_days * DAY)
    applied = history(seed)
    expected = oracle(applied, label_delay_s=delay_days * DAY)
    assert sorted(expected.columns) == sorted(engine.names)
    found = engine_vectors(engine, applied)
    for at, name in enumerate(engine.names):
        bits, wanted = found[:, at].view(np.int64), expected[name].to_numpy().view(np.int64)
        wrong = np.flatnonzero((bits != wanted) & ~(np.isnan(found[:, at]) & np.isnan(expected[name].to_numpy())))
        assert not len(wrong), (name, len(wrong), wrong[:5], found[wrong[:5], at], expected[name].to_numpy()[wrong[:5]])
        assert len(np.unique(wanted)) > 1, f"{name} is always the same here"
