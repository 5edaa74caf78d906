"""What the feature definition sees of a payment: integers only, so that every run computes the same bits."""

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.transaction import Transaction


class PaymentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the feature engine reads it; parts are None where the payment lacks them."""

    time_s: int
    """Seconds since 1970 UTC."""
    account: str | None
    merchant: str | None
    amount_minor: int
    """Amount in minor units of the payment's own currency."""
    foreign_currency: bool
    """Paid in another currency than the account's: counts, but no amount statistics."""
    local_time_s: int
    """`time_s` shifted by the account's offset from UTC."""
    home: tuple[int, int, int] | None = None
    """Unit vector (scaled by domain.place.UNIT) of where the holder lives."""
    place: tuple[int, int, int] | None = None
    """Unit vector of where the payment was made."""
    place_name: str | None = None
    """Name of the resolved place, for "never paid there before"."""
    place_unresolved: bool = False
    """A location was sent that names no known place."""
    country: str | None = None
    device: str | None = None


_NO_PLACE = frozenset({"online", "internet", "web", "e-commerce", "ecommerce", "card not present", "n/a", "none", "-"})
"""Location texts that say there is no place, which is not the same as a place nobody knows."""


def payment_event(transaction: Transaction, account: Account | None) -> PaymentEvent:
    """Return what the feature definition sees of a recorded payment; without an account no home is known.

    The payment was made where its location or coordinates lie, else where the merchant is.
    """
    place = transaction.place or transaction.merchant_place
    home = account.home.place if account is not None else None
    location = (transaction.location or "").strip().casefold()
    time_s = transaction.timestamp_ms // 1000
    return PaymentEvent(
        time_s=time_s,
        account=transaction.user_id,
        merchant=transaction.merchant_id,
        amount_minor=transaction.amount.minor,
        foreign_currency=transaction.amount.currency != transaction.account_currency,
        local_time_s=time_s + transaction.utc_offset_s,
        home=(home.x, home.y, home.z) if home is not None else None,
        place=(place.x, place.y, place.z) if place is not None else None,
        place_name=place.name if place is not None else None,
        place_unresolved=transaction.place is None and bool(location) and location not in _NO_PLACE,
        country=transaction.country or (place.country if place is not None else None),
        device=transaction.device_id,
    )
