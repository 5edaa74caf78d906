"""A payment as Cardwatch keeps it, its status, and the moves that a status may make."""

from enum import StrEnum

import msgspec

from cardwatch.domain.challenge import Challenge
from cardwatch.domain.decision import Decision
from cardwatch.domain.label import Label
from cardwatch.domain.money import Money
from cardwatch.domain.place import Place


class Status(StrEnum):
    """Where a payment stands."""

    PENDING = "pending"
    APPROVED = "approved"
    CHALLENGED = "challenged"
    IN_REVIEW = "in_review"
    DECLINED = "declined"


MOVES: frozenset[tuple[Status, Status]] = frozenset(
    {
        (Status.PENDING, Status.APPROVED),
        (Status.PENDING, Status.CHALLENGED),
        (Status.PENDING, Status.IN_REVIEW),
        (Status.PENDING, Status.DECLINED),
        (Status.CHALLENGED, Status.APPROVED),
        (Status.CHALLENGED, Status.DECLINED),
        (Status.CHALLENGED, Status.IN_REVIEW),
        (Status.IN_REVIEW, Status.APPROVED),
        (Status.IN_REVIEW, Status.DECLINED),
        (Status.APPROVED, Status.IN_REVIEW),  # NO after YES, inside the change window
        (Status.DECLINED, Status.IN_REVIEW),  # YES after NO
    }
)
"""Every move a payment may make; a store refuses any other."""


class Transaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A payment as it was recorded: what was sent, and what was true of the account and the place at that moment.

    The recorded context (`place`, `utc_offset_s`, `account_currency`) never changes afterwards, so that a replay
    computes the same features as the live decision did.
    """

    transaction_id: str
    user_id: str
    amount: Money
    merchant: str
    merchant_id: str
    """The sender's id of the merchant, else the normalised name; the key of the merchant's history."""
    timestamp_ms: int
    """When the payment happened, milliseconds since 1970 UTC."""
    received_at_ms: int
    fingerprint: str
    """Hash of the canonical body as sent; equal for "the same again"."""
    account_currency: str
    utc_offset_s: int
    """Offset of the account's time zone from UTC at the payment's time, in seconds."""
    location: str | None = None
    place: Place | None = None
    """Where `location` or the coordinates lie; None when nothing was sent or nothing resolved."""
    merchant_place: Place | None = None
    country: str | None = None
    category: str | None = None
    mcc: str | None = None
    channel: str | None = None
    device_id: str | None = None
    ip: str | None = None
    card: str | None = None
    metadata: dict[str, str] = {}


class TransactionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A payment with all that has become of it, as the store returns it."""

    sequence: int
    """Position in order of arrival; listings are newest first by it."""
    transaction: Transaction
    status: Status
    decision: Decision | None = None
    challenge: Challenge | None = None
    label: Label | None = None
