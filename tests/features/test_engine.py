"""The engine as a whole: what a vector holds, what a blob carries, what never changes it."""

import hashlib
import math
import struct

import msgspec
import pytest

from cardwatch.features.engine import CODE_VERSION, default_engine
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


GOLDEN = "b423c8ddf908651a93de027507ca9cc3955d75821c6e6a8c43cabfded13092d6"


def test_values_and_bytes_stay_the_same_while_the_version_does() -> None:
    """A change of any value or stored byte needs a new CODE_VERSION, and then a new digest here."""
    digest = hashlib.sha256()
    states = ENGINE.load([None, None])
    for number in range(400):
        place = (600_000 + number * 997 % 9000, -500_000, 620_000)
        event = after(
            number * 7919 % 4_000_000,
            amount_minor=100 + number * number % 90_000,
            merchant=f"m{number % 45}",
            foreign_currency=number % 17 == 3,
            place=place if number % 3 else None,
            place_name=f"p{number % 20}" if number % 2 else None,
            home=(600_000, -500_000, 620_000),
            country="US" if number % 5 else "CA",
            place_unresolved=number % 9 == 0,
        )
        digest.update(struct.pack(f"<{len(ENGINE.names)}d", *ENGINE.read(event, states)))
        ENGINE.update(event, states)
        blobs = ENGINE.dump(states)
        digest.update(b"".join(blob[4:] for blob in blobs))
        states = ENGINE.load(blobs)
    assert (CODE_VERSION, digest.hexdigest()) == (1, GOLDEN)
