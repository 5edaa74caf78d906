"""Reading a payment's features from stored state, and the state that follows it."""

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.changes import PutState
from cardwatch.domain.transaction import Transaction
from cardwatch.features.engine import FeatureEngine, Keys, States
from cardwatch.features.event import payment_event
from cardwatch.ports import EntityStates


class Reading(msgspec.Struct, frozen=True):
    """The features of a payment, the versions of the states they were read from, and the states after it."""

    vector: list[float]
    versions: dict[str, int]
    """By "entity:key", of the entities that the payment has; 0 where there was no state yet."""
    updates: tuple[PutState, ...]


def read_features(
    transaction: Transaction, account: Account | None, *, store: EntityStates, engine: FeatureEngine
) -> Reading:
    """Read the vector of a payment before its own effect, and compute that effect."""
    event = payment_event(transaction, account)
    stored = _Stored.of(engine.keys(event), store=store, engine=engine)
    vector = engine.step(event, stored.states)
    return Reading(vector, stored.named_versions(), stored.updates(engine))


def state_after(
    transaction: Transaction, account: Account | None, *, store: EntityStates, engine: FeatureEngine
) -> tuple[PutState, ...]:
    """Compute a payment's effect on state alone, for history that is not scored."""
    event = payment_event(transaction, account)
    stored = _Stored.of(engine.keys(event), store=store, engine=engine)
    engine.update(event, stored.states)
    return stored.updates(engine)


def state_after_label(
    transaction: Transaction, account: Account | None, change: int, *, store: EntityStates, engine: FeatureEngine
) -> tuple[PutState, ...]:
    """Compute the effect of a label: 1 for a payment now known as fraud, -1 for one that is no longer.

    States that were erased since, or that another feature definition wrote, do not count the payment and stay as
    they are.
    """
    event = payment_event(transaction, account)
    keys = engine.labelled_keys(event)
    counting = [
        key
        for key, state in zip(keys, store.states(keys), strict=True)
        if state is not None and engine.understands(state[1])
    ]
    stored = _Stored.of(tuple(counting), store=store, engine=engine)
    engine.relabel(event, stored.states, change)
    return stored.updates(engine)


class _Stored(msgspec.Struct, frozen=True):
    """The states of some keys as they are stored, decoded to be changed."""

    keys: Keys
    versions: list[int]
    states: States

    @classmethod
    def of(cls, keys: Keys, *, store: EntityStates, engine: FeatureEngine) -> "_Stored":
        found = store.states(keys)
        versions = [state[0] if state else 0 for state in found]
        return cls(keys, versions, engine.load(keys, [state[1] if state else None for state in found]))

    def named_versions(self) -> dict[str, int]:
        return {f"{entity}:{key}": version for (entity, key), version in zip(self.keys, self.versions, strict=True)}

    def updates(self, engine: FeatureEngine) -> tuple[PutState, ...]:
        return tuple(
            [
                PutState(entity, key, version + 1, blob)
                for (entity, key), version, blob in zip(self.keys, self.versions, engine.dump(self.states), strict=True)
            ]
        )
