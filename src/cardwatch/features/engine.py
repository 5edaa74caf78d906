"""The feature engine: loads the states a payment needs, reads its vector, applies its effect, gives the bytes back."""

import hashlib
from collections.abc import Sequence
from functools import cache
from math import nan
from typing import TypeAlias

import msgspec

from cardwatch.features.codec import Codec
from cardwatch.features.encode import Encoded, encode
from cardwatch.features.event import PaymentEvent
from cardwatch.features.generate import Program, generate
from cardwatch.features.spec import DAY_S, ENTITIES, LABEL_DELAY_MAX_S, LABEL_DELAY_S, Feature
from cardwatch.features.table import FEATURES

CODE_VERSION = 3
"""Raise it when code changes a value or the stored bytes: states and models from before are then not understood."""

PAIR_SEPARATOR = "\x1f"
"""Between account and merchant in the key of a pair; no id that is accepted holds it."""

Keys: TypeAlias = tuple[tuple[str, str], ...]
"""(entity, key) of each state that a payment has, in the order of `ENTITIES`."""

States: TypeAlias = dict[str, list[int]]
"""The decoded states of the entities that a payment has, by entity, in the order of `ENTITIES`."""


class FeatureEngine:
    """One definition of every feature, for serving, replay and training alike.

    >>> engine = default_engine()
    >>> event = PaymentEvent(time_s=1, account="user_001", merchant="starbucks", amount_minor=475,
    ...                      foreign_currency=False, local_time_s=1)
    >>> keys = engine.keys(event)
    >>> states = engine.load(keys, [None for _ in keys])
    >>> vector = engine.read(event, states)
    >>> vector[engine.names.index("amount")]
    475.0
    """

    names: tuple[str, ...]
    """The order of the vector."""
    spec_hash: str
    """Hexadecimal; changes with the table, the label delay and `CODE_VERSION`, not with the words for people."""

    def __init__(self, features: Sequence[Feature] = FEATURES, *, label_delay_s: int = LABEL_DELAY_S) -> None:
        """Generate the programs; no feature reads the label of a payment younger than `label_delay_s` (seconds)."""
        if not 0 <= label_delay_s <= LABEL_DELAY_MAX_S:
            raise ValueError(f"the label delay must be from 0 to {LABEL_DELAY_MAX_S // DAY_S} days")
        self.label_delay_s = label_delay_s
        self.features = tuple(feature for entity in ENTITIES for feature in features if feature.entity == entity)
        self.names = tuple(feature.name for feature in self.features)
        self.spec_hash = _digest((_definition(self.features), label_delay_s))
        self.programs: dict[str, Program] = {}
        for entity in ENTITIES:
            rows = [feature for feature in self.features if feature.entity == entity]
            first = sum(len(program.names) for program in self.programs.values())
            self.programs[entity] = generate(entity, rows, first=first, label_delay_s=label_delay_s)
        # What is stored does not depend on the delay, so one store serves models of any.
        state_hash = _digest(_definition(self.features))
        self._codecs = {
            entity: Codec(program.plan, state_hash) for entity, program in self.programs.items() if entity != "payment"
        }
        self._read_payment = self.programs["payment"].read
        self._reads = {entity: self.programs[entity].read for entity in self._codecs}
        self._updates = {entity: self.programs[entity].update for entity in self._codecs}
        self._unknown = [nan] * len(self.names)

    def keys(self, event: PaymentEvent) -> Keys:
        """Return (entity, key) of each state that a payment reads and changes; what it lacks has none."""
        account, merchant = event.account, event.merchant
        named = [("account", account), ("merchant", merchant), ("device", event.device)]
        if account and merchant:
            named.append(("pair", f"{account}{PAIR_SEPARATOR}{merchant}"))
        return tuple([(entity, key) for entity, key in named if key])

    def labelled_keys(self, event: PaymentEvent) -> Keys:
        """Return (entity, key) of each state that a label of a payment changes."""
        return tuple([(entity, key) for entity, key in self.keys(event) if self.programs[entity].labelled])

    def understands(self, blob: bytes) -> bool:
        """Whether a blob was written by this definition; one that was not loads as empty state."""
        return self._codecs["account"].understands(blob)

    def load(self, keys: Keys, blobs: Sequence[bytes | None]) -> States:
        """Decode the states of `keys`, in the same order; None stands for no state yet.

        Raises StoreCorrupt when a blob of this definition is damaged.
        """
        return {entity: self._codecs[entity].load(blob) for (entity, _), blob in zip(keys, blobs, strict=True)}

    def read(self, event: PaymentEvent, states: States) -> list[float]:
        """Return the vector of a payment, before its own effect; NaN where a value is missing. Changes nothing."""
        return self._read(encode(event), states)

    def update(self, event: PaymentEvent, states: States) -> None:
        """Apply a payment's effect to its states."""
        self._update(encode(event), states)

    def step(self, event: PaymentEvent, states: States) -> list[float]:
        """Return the vector of a payment, then apply its effect."""
        encoded = encode(event)
        vector = self._read(encoded, states)
        self._update(encoded, states)
        return vector

    def relabel(self, event: PaymentEvent, states: States, change: int) -> None:
        """Apply a label to the states of `labelled_keys`: 1 for now known as fraud, -1 for no longer."""
        encoded = encode(event)
        for entity, state in states.items():
            self.programs[entity].relabel(state, encoded, change)

    def dump(self, states: States) -> tuple[bytes, ...]:
        """Encode the states, in their order."""
        return tuple([self._codecs[entity].dump(state) for entity, state in states.items()])

    def describe(self) -> tuple[Feature, ...]:
        """Return what each feature is, in the order of the vector: name, unit, why, reason code, words, usual."""
        return self.features

    def _read(self, encoded: Encoded, states: States) -> list[float]:
        vector = self._unknown.copy()
        self._read_payment([], encoded, vector)
        for entity, state in states.items():
            self._reads[entity](state, encoded, vector)
        return vector

    def _update(self, encoded: Encoded, states: States) -> None:
        for entity, state in states.items():
            self._updates[entity](state, encoded)


def _definition(features: Sequence[Feature]) -> object:
    """What each feature is (not its words), the lags, and the version of the code."""
    rows = [(f.name, f.entity, f.value, f.aggregation, f.window_s, f.tile_s) for f in features]
    return (CODE_VERSION, ENTITIES, rows)


def _digest(content: object) -> str:
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


@cache
def default_engine(label_delay_s: int = LABEL_DELAY_S) -> FeatureEngine:
    """Return the engine of the table in `cardwatch.features.table`, built once per process and label delay."""
    return FeatureEngine(label_delay_s=label_delay_s)
