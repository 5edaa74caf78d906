"""Records of the payments table's stream, as Lambda hands them over, and the answer that says which of them failed.

The event source mapping lets new payments through that are pending, nothing else; the same is asked here again, so
that a mapping without the filter costs time and harms nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

PENDING = "pending"


class StreamRecord(msgspec.Struct, frozen=True):
    """One record of a batch."""

    sequence_number: str
    """Its position in its shard; what a partial failure names."""
    transaction_id: str | None
    """None where the record does not say which payment it is about."""
    new_and_pending: bool
    raw: Mapping[str, Any]


def stream_records(event: Mapping[str, Any]) -> tuple[StreamRecord, ...]:
    """Return the records of an event, in their order; what is missing in one is never an error."""
    return tuple(_record(raw) for raw in event.get("Records") or () if isinstance(raw, Mapping))


def batch_answer(failed: Iterable[StreamRecord]) -> dict[str, Sequence[dict[str, str]]]:
    """Return the answer of a mapping with ReportBatchItemFailures: delivery goes on with the first of these."""
    return {"batchItemFailures": [{"itemIdentifier": record.sequence_number} for record in failed]}


def _record(raw: Mapping[str, Any]) -> StreamRecord:
    change = _mapping(raw.get("dynamodb"))
    key = _mapping(_mapping(change.get("Keys")).get("transaction_id")).get("S")
    status = _mapping(_mapping(change.get("NewImage")).get("status")).get("S", PENDING)
    return StreamRecord(
        sequence_number=str(change.get("SequenceNumber") or raw.get("eventID") or ""),
        transaction_id=str(key) if key else None,
        new_and_pending=raw.get("eventName") == "INSERT" and status == PENDING,
        raw=raw,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
