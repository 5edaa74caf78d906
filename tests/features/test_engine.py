"""The engine as a whole: what a vector holds, what a blob carries, what never changes it."""

import math

import msgspec
import pytest

from cardwatch.features.engine import default_engine
from cardwatch.features.event import PaymentEvent

ENGINE = default_engine()
NOON = 1_700_000_000

EVERYDAY = PaymentEvent(
    time_s=NOON, account="user_001", merchant="starbucks", amount_minor=475, foreign_currency=False, local_time_s=NOON
)


def run(events: list[PaymentEvent]) -> list[list[float]]:
    """Feed payments of any entities through stored bytes, as a server does; returns each vector."""
    stored: dict[tuple[str, str], bytes] = {}
    vectors = []
    for event in events:
        keys = ENGINE.keys(event)
        states = ENGINE.load([stored.get(key) for key in keys])
        vectors.append(ENGINE.read(event, states))
        ENGINE.update(event, states)
        stored.update(zip(keys, ENGINE.dump(states), strict=True))
    return vectors


def after(seconds: int, event: PaymentEvent = EVERYDAY, **changes: object) -> PaymentEvent:
    """Return the everyday payment some seconds later, with changes."""
    time_s = event.time_s + seconds
    return msgspec.structs.replace(event, time_s=time_s, local_time_s=time_s, **changes)


def value(vector: list[float], name: str) -> float:
    """Return one feature of a vector."""
    return vector[ENGINE.names.index(name)]


def test_a_payment_is_read_before_its_own_effect() -> None:
    """The first payment of an account sees no history, the second sees the first."""
    first, second = run([EVERYDAY, after(60)])
    assert value(first, "account_payments") == 0
    assert math.isnan(value(first, "amount_to_median"))
    assert value(second, "account_payments") == 1
    assert value(second, "account_count_1h") == 1
    assert value(second, "account_seconds_since_last") == 60


def test_read_changes_nothing() -> None:
    """Reading leaves every state as it was, however far the time has moved on."""
    states = ENGINE.load([None, None])
    ENGINE.update(EVERYDAY, states)
    before = ENGINE.dump(states)
    for seconds in (0, 60, 90_000, 90_000_000):
        ENGINE.read(after(seconds), states)
    assert ENGINE.dump(states) == before


def test_a_blob_of_another_definition_is_empty_state() -> None:
    """A state that another definition wrote counts for nothing, and can be told apart."""
    states = ENGINE.load([None, None])
    ENGINE.update(EVERYDAY, states)
    blobs = [bytes([blob[0] ^ 255]) + blob[1:] for blob in ENGINE.dump(states)]
    assert not any(ENGINE.understands(blob) for blob in blobs)
    assert ENGINE.load(blobs) == ENGINE.load([None, None])


@pytest.mark.parametrize("name", ["another-store", "Zürich Käse", "x" * 400])
def test_renaming_a_merchant_to_another_new_name_changes_nothing(name: str) -> None:
    """Two merchants without history give the same vector, whatever they are called."""
    history = [EVERYDAY, after(4000), after(8000)]
    _, _, _, one = run([*history, after(90_000, merchant="suspicious store")])
    _, _, _, other = run([*history, after(90_000, merchant=name)])
    assert one == pytest.approx(other, nan_ok=True, abs=0, rel=0)
