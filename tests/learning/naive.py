"""Replay as it is meant, row by row through the interpreted engine: what every faster way has to equal."""

import math
from collections.abc import Iterable

from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.features.event import payment_event


def naive_vectors(
    rows: Iterable[HistoryRow], *, engine: FeatureEngine, from_ms: int | None = None, until_ms: int | None = None
) -> tuple[list[str], list[list[float]]]:
    """Return ids and features of the payments of [from_ms, until_ms) in order of (time, id).

    A fraud's label comes when the row says, else the engine's label delay after its payment; at one instant labels
    come first, but never before the payment itself has been read.
    """
    events = []
    for number, row in enumerate(rows):
        payment = row.transaction
        if until_ms is not None and payment.timestamp_ms >= until_ms:
            continue
        events.append((payment.timestamp_ms, 1, payment.transaction_id, number, row))
        if row.is_fraud:
            said = row.label_available_ms
            known_ms = payment.timestamp_ms + engine.label_delay_s * 1000 if said is None else said
            events.append((max(known_ms, payment.timestamp_ms + 1), 0, payment.transaction_id, number, row))
    states: dict[tuple[str, str], list[int]] = {}
    ids, vectors = list[str](), list[list[float]]()
    for time_ms, is_payment, name, _, row in sorted(events, key=lambda event: event[:4]):
        if until_ms is not None and time_ms >= until_ms:
            break
        event = payment_event(row.transaction, row.account)
        keys = engine.keys(event) if is_payment else engine.labelled_keys(event)
        fresh = engine.load(keys, [None] * len(keys))
        found = {entity: states.setdefault((entity, key), fresh[entity]) for entity, key in keys}
        if not is_payment:
            engine.relabel(event, found, 1)
            continue
        vector = engine.step(event, found)
        if from_ms is None or time_ms >= from_ms:
            ids.append(name)
            vectors.append(vector)
    return ids, vectors


def printed(vectors: Iterable[Iterable[float]]) -> list[list[str]]:
    """Return numbers to the last bit, NaN as a word."""
    return [["nan" if math.isnan(value) else value.hex() for value in vector] for vector in vectors]
