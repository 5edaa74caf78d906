"""Money never loses or invents a minor unit, whatever the currency and however the amount is written."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.money import AMOUNT_MINOR_MAX, MINOR_DIGITS, Money, parse_amount

CURRENCIES = sorted(MINOR_DIGITS)
MINORS = st.integers(1, AMOUNT_MINOR_MAX)


@given(MINORS, st.sampled_from(CURRENCIES))
def test_money_survives_print_and_parse(minor: int, currency: str) -> None:
    """What is printed reads back as the same amount."""
    money = Money(minor, currency)
    assert parse_amount(Decimal(money.decimal), currency) == money


@given(MINORS, st.sampled_from(CURRENCIES), st.integers(0, 20), st.booleans())
def test_writing_of_an_amount_does_not_matter(minor: int, currency: str, zeros: int, exponent: bool) -> None:
    """Trailing zeros and exponents change nothing."""
    amount = Decimal(minor).scaleb(-MINOR_DIGITS[currency])
    text = (
        f"{minor}E-{MINOR_DIGITS[currency]}"
        if exponent
        else f"{amount:f}" + ("." * ("." not in f"{amount:f}")) + "0" * zeros
    )
    assert parse_amount(Decimal(text), currency) == Money(minor, currency)


@given(MINORS, st.sampled_from(CURRENCIES), st.integers(1, 9))
def test_part_of_a_minor_unit_is_refused(minor: int, currency: str, tenths: int) -> None:
    """A tenth of a cent is neither rounded nor dropped."""
    amount = (Decimal(minor) + Decimal(tenths) / 10).scaleb(-MINOR_DIGITS[currency])
    with pytest.raises(ValueError, match="decimals"):
        parse_amount(amount, currency)


@given(st.decimals(allow_nan=True, allow_infinity=True), st.sampled_from(CURRENCIES))
def test_every_decimal_is_taken_exactly_or_refused(value: Decimal, currency: str) -> None:
    """There is no third outcome, and what is taken is worth what was sent."""
    try:
        money = parse_amount(value, currency)
    except ValueError:
        return
    assert Decimal(money.minor).scaleb(-MINOR_DIGITS[currency]).compare(value) == 0
    assert 0 < money.minor <= AMOUNT_MINOR_MAX


@pytest.mark.parametrize("text", ["1e999999", "1e-999999", "9" * 4000, "0." + "1" * 4000, "1e40", "1e-41"])
def test_hostile_amount_is_refused_at_once(text: str) -> None:
    """No power of ten of a sender's choosing is computed."""
    with pytest.raises(ValueError, match="must"):
        parse_amount(Decimal(text), "USD")


@pytest.mark.parametrize(
    ("minor", "currency", "decimal", "display"),
    [
        (150_000, "USD", "1500.00", "$1,500.00"),
        (5, "USD", "0.05", "$0.05"),
        (-5, "USD", "-0.05", "-$0.05"),
        (1_234_567, "JPY", "1234567", "¥1,234,567"),
        (1_234_567, "KWD", "1234.567", "1,234.567 KWD"),
        (100, "CHF", "1.00", "1.00 CHF"),
    ],
)
def test_money_is_printed_with_its_currencys_decimals(minor: int, currency: str, decimal: str, display: str) -> None:
    """The API's form and people's form of an amount."""
    money = Money(minor, currency)
    assert (money.decimal, money.display) == (decimal, display)


def test_largest_amounts_of_a_lifetime_fit_64_bits() -> None:
    """Nine million payments of the largest amount do not overflow."""
    assert AMOUNT_MINOR_MAX * 9_000_000 < 2**63
