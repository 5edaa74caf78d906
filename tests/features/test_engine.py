"""The engine as a whole: what a vector holds, what a blob carries, what never changes it."""

import hashlib
import math
import struct

import msgspec
import pytest

from cardwatch.features.engine import CODE_VERSION, default_engine
from cardwatch.features.event import PaymentEvent
from tests.features.payments import fresh

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
        states = ENGINE.load(keys, [stored.get(key) for key in keys])
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
    states = fresh(EVERYDAY)
    ENGINE.update(EVERYDAY, states)
    before = ENGINE.dump(states)
    for seconds in (0, 60, 90_000, 90_000_000):
        ENGINE.read(after(seconds), states)
    assert ENGINE.dump(states) == before


def test_a_blob_of_another_definition_is_empty_state() -> None:
    """A state that another definition wrote counts for nothing, and can be told apart."""
    states = fresh(EVERYDAY)
    ENGINE.update(EVERYDAY, states)
    blobs = [bytes([blob[0] ^ 255]) + blob[1:] for blob in ENGINE.dump(states)]
    assert not any(ENGINE.understands(blob) for blob in blobs)
    assert ENGINE.load(ENGINE.keys(EVERYDAY), blobs) == fresh(EVERYDAY)


@pytest.mark.parametrize(
    ("absent", "gone"),
    [
        ({"device": None}, ("device_",)),
        ({"account": None}, ("account_", "pair_", "amount_to_pair")),
        ({"merchant": None}, ("merchant_", "pair_", "amount_to_merchant", "amount_to_pair")),
    ],
)
def test_what_a_payment_lacks_is_missing_never_zero(absent: dict[str, object], gone: tuple[str, ...]) -> None:
    """Without a device, an account or a merchant, each feature of theirs and of the pair is NaN, and no state moves."""
    event = msgspec.structs.replace(EVERYDAY, device="phone")
    vector = run([event, event, msgspec.structs.replace(event, **absent)])[2]
    for name, found in zip(ENGINE.names, vector, strict=True):
        if name.startswith(gone):
            assert math.isnan(found), name
    lacking = {key for key, value in absent.items() if value is None}
    assert not lacking & {entity for entity, _ in ENGINE.keys(msgspec.structs.replace(event, **absent))}


@pytest.mark.parametrize("name", ["another-store", "Zürich Käse", "x" * 400])
def test_renaming_a_merchant_to_another_new_name_changes_nothing(name: str) -> None:
    """Two merchants without history give the same vector, whatever they are called."""
    history = [EVERYDAY, after(4000), after(8000)]
    _, _, _, one = run([*history, after(90_000, merchant="suspicious store")])
    _, _, _, other = run([*history, after(90_000, merchant=name)])
    assert one == pytest.approx(other, nan_ok=True, abs=0, rel=0)


GOLDEN = "760d269de3684e4655ed5d3a49b0426cb512df39a6ada91abdebf54553a25455"


def test_values_and_bytes_stay_the_same_while_the_version_does() -> None:
    """A change of any value or stored byte needs a new CODE_VERSION, and then a new digest here."""
    digest = hashlib.sha256()
    states = fresh(after(0, device="d0"))
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
            device=f"d{number % 11}",
        )
        digest.update(struct.pack(f"<{len(ENGINE.names)}d", *ENGINE.read(event, states)))
        ENGINE.update(event, states)
        if number % 7 == 0:
            ENGINE.relabel(event, states, 1)
        blobs = ENGINE.dump(states)
        digest.update(b"".join(blob[4:] for blob in blobs))
        states = ENGINE.load(ENGINE.keys(event), blobs)
    assert (CODE_VERSION, digest.hexdigest()) == (3, GOLDEN)
