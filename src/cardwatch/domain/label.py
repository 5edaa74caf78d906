"""What a payment turned out to be, who said so, and from when on that was known."""

from enum import StrEnum

import msgspec


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
