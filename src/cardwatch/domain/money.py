"""Money as integer minor units of an ISO 4217 currency; no float ever holds an amount.

The table lists the active currencies of ISO 4217 (List One, 2024 amendment 176) with a minor unit; funds codes,
precious metals and test codes are left out because no card payment is made in them.
"""

from decimal import Decimal

import msgspec

_TWO_DECIMALS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY "
    "COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
    "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR "
    "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
    "SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"

MINOR_DIGITS: dict[str, int] = {
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}

AMOUNT_MINOR_MAX = 10**12
"""Largest amount of one payment in minor units (ten billion dollars): 64-bit sums of a lifetime never overflow."""

_EXPONENT_MAX = 12
_SHIFT_MAX = 40
"""More decimals than this are refused unseen: powers of ten of a sender's choosing cost time."""

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CAD": "CA$", "AUD": "A$", "INR": "₹", "MXN": "MX$"}


class Money(msgspec.Struct, frozen=True):
    """An amount in integer minor units (cents) of a currency."""

    minor: int
    currency: str

    @property
    def decimal(self) -> str:
        """The amount in major units with all of the currency's decimals, as the API prints it: "1500.00"."""
        digits = MINOR_DIGITS[self.currency]
        if digits == 0:
            return str(self.minor)
        sign, magnitude = ("-", -self.minor) if self.minor < 0 else ("", self.minor)
        whole, fraction = divmod(magnitude, 10**digits)
        return f"{sign}{whole}.{fraction:0{digits}d}"

    @property
    def display(self) -> str:
        """The amount as people read it: "$1,500.00", or "1,500.00 CHF" where no common symbol exists."""
        whole, dot, fraction = self.decimal.removeprefix("-").partition(".")
        text = f"{int(whole):,}{dot}{fraction}"
        symbol = _SYMBOLS.get(self.currency)
        sign = "-" if self.minor < 0 else ""
        return f"{sign}{symbol}{text}" if symbol else f"{sign}{text} {self.currency}"


def parse_amount(value: Decimal, currency: str) -> Money:
    """Turn a decimal amount in major units into money.

    Raises ValueError, with a sentence for the sender, when the amount is not a positive finite number, is too large,
    or has more decimals than the currency.
    """
    if not value.is_finite() or value <= 0:
        raise ValueError("must be a number greater than 0")
    digits = MINOR_DIGITS[currency]
    too_large = f"must be at most {Money(AMOUNT_MINOR_MAX, currency).decimal}"
    if value.adjusted() > _EXPONENT_MAX:
        raise ValueError(too_large)
    _, figures, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101  finite numbers have one
    shift = exponent + digits
    unscaled = int("".join(map(str, figures)))
    minor, rest = (unscaled * 10**shift, 0) if shift >= 0 else divmod(unscaled, 10 ** min(-shift, _SHIFT_MAX))
    if rest or -shift > _SHIFT_MAX:
        raise ValueError(f"must have at most {digits} decimals in {currency}")
    if minor > AMOUNT_MINOR_MAX:
        raise ValueError(too_large)
    return Money(minor, currency)
