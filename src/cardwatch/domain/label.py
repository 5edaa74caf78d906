"""What a payment turned out to be, who said so, and from when on that was known."""

from enum import StrEnum

import msgspec

from cardwatch.domain.errors import StoreCorrupt


class LabelValue(StrEnum):
    """The truth about a payment."""

    FRAUD = "fraud"
    GENUINE = "genuine"


class LabelSource(StrEnum):
    """Who said so."""

    CARDHOLDER = "cardholder"
    ANALYST = "analyst"
    CHARGEBACK = "chargeback"
    IMPORT = "import"


class Label(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A judgement on a payment; training may use it only for times from `available_at_ms` on."""

    transaction_id: str
    value: LabelValue
    source: LabelSource
    available_at_ms: int
    note: str | None = None
    analyst_agrees: bool = False
    """Another source repeats what an analyst had said, whose word still stands."""

    @property
    def is_analysts(self) -> bool:
        """Whether an analyst said so, last or before a source that said the same."""
        return self.source is LabelSource.ANALYST or self.analyst_agrees


def log_detail(label: Label, previous: Label | None) -> str:
    """Return what the change log says of a new label: value, source, and the value before it (empty: none)."""
    return f"{label.value}:{label.source}:{previous.value if previous else ''}"


def fraud_change(detail: str) -> int:
    """Return by how much a logged label changes the count of known frauds: 1, 0, or -1 for one that is taken back.

    Entries of older versions do not say what stood before; nothing was counted then. Raises StoreCorrupt.
    """
    value, _, rest = detail.partition(":")
    previous = rest.partition(":")[2]
    if value not in _VALUES or (previous and previous not in _VALUES):
        raise StoreCorrupt("a label in the change log cannot be read")
    return (value == LabelValue.FRAUD) - (previous == LabelValue.FRAUD)


_VALUES = frozenset(LabelValue)
