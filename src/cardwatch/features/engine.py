"""The feature engine: loads the states a payment needs, reads its vector, applies its effect, gives the bytes back."""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

import msgspec

from cardwatch.features.codec import Codec
from cardwatch.features.encode import encode
from cardwatch.features.event import PaymentEvent
from cardwatch.features.generate import generate
from cardwatch.features.spec import ENTITIES, Feature
from cardwatch.features.table import FEATURES

CODE_VERSION = 1
"""Raise it when code changes a value or the stored bytes: states and models from before are then not understood."""

States: TypeAlias = list[list[int]]
"""The decoded states of a payment's entities, in the order of `FeatureEngine.keys`."""


class FeatureEngine:
    """One definition of every feature, for serving, replay and training alike.

    >>> engine = default_engine()
    >>> event = PaymentEvent(time_s=1, account="user_001", merchant="starbucks", amount_minor=475,
    ...                      foreign_currency=False, local_time_s=1)
    >>> states = engine.load([None for _ in engine.keys(event)])
    >>> vector = engine.read(event, states)
    >>> vector[engine.names.index("amount")]
    475.0
    """

    names: tuple[str, ...]
    """The order of the vector."""
    spec_hash: str
    """Hexadecimal; changes with the table and with `CODE_VERSION`, not with the words for people."""

    def __init__(self, features: Sequence[Feature] = FEATURES) -> None:
        self.programs = {
            entity: generate(entity, [feature for feature in features if feature.entity == entity])
            for entity in ENTITIES
        }
        self.features = tuple(feature for entity in ENTITIES for feature in features if feature.entity == entity)
        self.names = tuple(feature.name for feature in self.features)
        self.spec_hash = _spec_hash(self.features)
        kept = [program for entity, program in self.programs.items() if entity != "payment"]
        self._codecs = tuple(Codec(program.plan, self.spec_hash) for program in kept)
        self._loads = tuple(codec.load for codec in self._codecs)
        self._dumps = tuple(codec.dump for codec in self._codecs)
        self._read_payment = self.programs["payment"].read
        self._reads = tuple(program.read for program in kept)
        self._updates = tuple(program.update for program in kept)

    def keys(self, event: PaymentEvent) -> tuple[tuple[str, str], ...]:
        """Return (entity, key) of each state that a payment reads and changes."""
        named = (("account", event.account), ("merchant", event.merchant))
        return tuple([(entity, key) for entity, key in named if key])

    def understands(self, blob: bytes) -> bool:
        """Whether a blob was written by this definition; one that was not loads as empty state."""
        return self._codecs[0].understands(blob)

    def load(self, blobs: Sequence[bytes | None]) -> States:
        """Decode the states of a payment, in the order of `keys`; None stands for no state yet.

        Raises StoreCorrupt when a blob of this definition is damaged.
        """
        return [load(blob) for load, blob in zip(self._loads, blobs, strict=True)]

    def read(self, event: PaymentEvent, states: States) -> list[float]:
        """Return the vector of a payment, before its own effect; NaN where a value is missing. Changes nothing."""
        encoded = encode(event)
        vector = [*self._read_payment([], encoded)]
        for read, state in zip(self._reads, states, strict=True):
            vector += read(state, encoded)
        return vector

    def update(self, event: PaymentEvent, states: States) -> None:
        """Apply a payment's effect to its states."""
        encoded = encode(event)
        for update, state in zip(self._updates, states, strict=True):
            update(state, encoded)

    def dump(self, states: States) -> tuple[bytes, ...]:
        """Encode the states, in the order of `keys`."""
        return tuple([dump(state) for dump, state in zip(self._dumps, states, strict=True)])

    def describe(self) -> tuple[Feature, ...]:
        """Return what each feature is, in the order of the vector: name, unit, why, reason code, words, usual."""
        return self.features


def _spec_hash(features: Sequence[Feature]) -> str:
    """Hash of what each feature is (not of its words), of the lags, and of the version of the code."""
    rows = [(f.name, f.entity, f.value, f.aggregation, f.window_s, f.tile_s) for f in features]
    return hashlib.sha256(msgspec.json.encode((CODE_VERSION, ENTITIES, rows))).hexdigest()


@cache
def default_engine() -> FeatureEngine:
    """Return the engine of the table in `cardwatch.features.table`, built once per process."""
    return FeatureEngine()
