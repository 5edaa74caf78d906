"""The change log as the table's stream tells it: from the images of one modification of a payment to its log entries.

Each write of a payment's item that is worth an entry leaves in it what happened, as "index kind detail"; the index
orders entries over the items of one write, which carry a common `batch` then. A modification that left nothing new
there (an erasure, an expiry, an operator's hand) is no entry. Everything here is pure: what Lambda delivers and what
an emulator's stream gives goes through the same functions.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cardwatch.adapters.dynamodb.payments import is_payment, record_of
from cardwatch.adapters.dynamodb.values import Item, from_wire, text, texts
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.transaction import TransactionRecord

KINDS: Final[Mapping[str, str]] = {
    "r": "transaction.recorded",
    "d": "transaction.decided",
    "m": "transaction.moved",
    "c": "challenge.added",
    "h": "challenge.changed",
    "l": "label.added",
    "i": "label.imported",
}
"""Kinds of log entries by the letter that stands for them in an item."""

_LETTERS: Final = {kind: letter for letter, kind in KINDS.items()}


class Event(msgspec.Struct, frozen=True):
    """What happened to a payment, in the words of a log entry."""

    kind: str
    key: str
    detail: str
    index: int
    """Place among the entries of one write."""
    batch: str | None
    """Common to the items of one write, where there were several."""


class StreamedChange(msgspec.Struct, frozen=True):
    """One record of the table's stream."""

    transaction_id: str
    events: tuple[Event, ...]
    new: Item | None
    """The item after the write; None once it is deleted."""

    def record(self) -> TransactionRecord | None:
        """Return the payment as this write left it, None where it left none; raises StoreCorrupt."""
        return record_of(self.new) if self.new is not None and is_payment(self.new) else None


def streamed_change(record: Mapping[str, Any]) -> StreamedChange:
    """Read one stream record: as GetRecords gives it, or as Lambda does once its bytes are decoded (`from_event`).

    Raises StoreCorrupt.
    """
    images = record["dynamodb"]
    old, new = (_image(images.get(name)) for name in ("OldImage", "NewImage"))
    transaction_id = str(images["Keys"]["transaction_id"]["S"])
    return StreamedChange(transaction_id, events_between(old, new), new)


def _image(image: Mapping[str, Any] | None) -> Item | None:
    return None if image is None else from_wire(image)


def events_between(old: Item | None, new: Item | None) -> tuple[Event, ...]:
    """Return what happened between two images of an item, in order."""
    if new is None or (old is not None and old.get("rev") == new.get("rev")):
        return ()
    batch = text(new, "batch") if "batch" in new else None
    key = text(new, "about") if "about" in new else text(new, "transaction_id")
    return tuple(_event(line, key, batch) for line in texts(new, "events"))


def event_line(index: int, kind: str, detail: str) -> str:
    """Return what stands in an item for an entry."""
    return f"{index} {_LETTERS[kind]} {detail}"


def _event(line: str, key: str, batch: str | None) -> Event:
    index, _, rest = line.partition(" ")
    letter, _, detail = rest.partition(" ")
    if letter not in KINDS or not index.isdecimal():
        raise StoreCorrupt("what happened to a payment cannot be read from its item")
    return Event(KINDS[letter], key, detail, int(index), batch)


def in_order(changes: Sequence[StreamedChange]) -> list[Event]:
    """Return the events of consecutive stream records in the order in which they were written."""
    ordered: list[Event] = []
    run: list[Event] = []
    for change in changes:
        for event in change.events:
            if run and (event.batch is None or event.batch != run[-1].batch):
                ordered += sorted(run, key=lambda each: each.index)
                run = []
            run.append(event)
    return ordered + sorted(run, key=lambda each: each.index)


def from_event(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Lambda event's stream record with its bytes decoded, as `streamed_change` takes it.

    Lambda hands records over as JSON, in which bytes are base64.
    """
    return {name: _decoded(value) for name, value in record.items()}


def _decoded(value: Any) -> Any:

    if isinstance(value, Mapping):
        if set(value) == {"B"} and isinstance(value["B"], str):
            return {"B": base64.b64decode(value["B"])}
        return {name: _decoded(part) for name, part in value.items()}
    return [_decoded(part) for part in value] if isinstance(value, list) else value
