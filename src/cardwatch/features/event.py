"""What the feature definition sees of a payment: integers only, so that every run computes the same bits."""

import msgspec


class PaymentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the feature engine reads it; optional parts are None where the payment lacks them."""

    time_s: int
    """Seconds since 1970 UTC."""
    account: str
    merchant: str
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
    category: str | None = None
    device: str | None = None
