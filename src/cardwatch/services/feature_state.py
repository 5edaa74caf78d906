"""Reading a payment's features from stored state, and the state that follows it."""

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.changes import Change, PutState
from cardwatch.domain.transaction import Transaction
from cardwatch.features.engine import FeatureEngine
from cardwatch.features.event import payment_event
from cardwatch.ports import EntityStates


class Reading(msgspec.Struct, frozen=True):
    """The features of a payment, the versions of the states they were read from, and the states after it."""

    vector: list[float]
    versions: dict[str, int]
    """By "entity:key"; 0 where there was no state yet."""
    updates: tuple[PutState, ...]


def read_features(
    transaction: Transaction, account: Account | None, *, store: EntityStates, engine: FeatureEngine
) -> Reading:
    """Read the vector of a payment before its own effect, and compute that effect."""
    event = payment_event(transaction, account)
    keys = engine.keys(event)
    stored = store.states(keys)
    states = engine.load([found[1] if found else None for found in stored])
    vector = engine.read(event, states)
    engine.update(event, states)
    versions = [found[0] if found else 0 for found in stored]
    updates = [
        PutState(entity, key, version + 1, blob)
        for (entity, key), version, blob in zip(keys, versions, engine.dump(states), strict=True)
    ]
    named = {f"{entity}:{key}": version for (entity, key), version in zip(keys, versions, strict=True)}
    return Reading(vector, named, tuple(updates))


def state_after(
    transaction: Transaction, account: Account | None, *, store: EntityStates, engine: FeatureEngine
) -> tuple[Change, ...]:
    """Compute a payment's effect on state alone, for history that is not scored."""
    event = payment_event(transaction, account)
    keys = engine.keys(event)
    stored = store.states(keys)
    states = engine.load([found[1] if found else None for found in stored])
    engine.update(event, states)
    return tuple(
        PutState(entity, key, (found[0] if found else 0) + 1, blob)
        for (entity, key), found, blob in zip(keys, stored, engine.dump(states), strict=True)
    )
