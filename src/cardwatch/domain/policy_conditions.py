"""What a payment must be for a rule or an escalation to apply to it."""

from decimal import Decimal
from typing import Annotated

import msgspec

from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.money import MINOR_DIGITS, parse_amount
from cardwatch.domain.transaction import Transaction

_LISTS = ("countries", "not_countries", "categories", "mccs", "channels")


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of what is given must hold. Amounts are in major units of `currency`, which they then require."""

    currency: str | None = None
    amount_at_least: Decimal | None = None
    amount_below: Decimal | None = None
    countries: tuple[str, ...] | None = None
    not_countries: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    mccs: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    score_at_least: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None

    def hold(self, transaction: Transaction, score: float | None) -> bool:
        """Say whether a payment with this score (None: none was to be had) meets every condition."""
        return (
            (self.currency is None or transaction.amount.currency == self.currency)
            and self._amount_holds(transaction)
            and _within(transaction.country, self.countries)
            and (self.not_countries is None or transaction.country not in self.not_countries)
            and _within(transaction.category, self.categories)
            and _within(transaction.mcc, self.mccs)
            and _within(transaction.channel, self.channels)
            and (self.score_at_least is None or (score is not None and score >= self.score_at_least))
        )

    def _amount_holds(self, transaction: Transaction) -> bool:
        if self.amount_at_least is None and self.amount_below is None:
            return True
        amount = Decimal(transaction.amount.decimal)
        return (self.amount_at_least is None or amount >= self.amount_at_least) and (
            self.amount_below is None or amount < self.amount_below
        )


def _within(value: str | None, allowed: tuple[str, ...] | None) -> bool:
    return allowed is None or value in allowed


def check_conditions(when: Conditions, pointer: str) -> None:
    """Check what types alone cannot say of conditions; raises InvalidInput that names the place.

    An empty list is refused: "in none of these" would hold for every payment, "in one of these" for none.
    """
    for field in _LISTS:
        if getattr(when, field) == ():
            raise InvalidInput.at(f"{pointer}/{field}", "must list at least one value, or be left out")
    _check_amounts(when, pointer)


def _check_amounts(when: Conditions, pointer: str) -> None:
    if when.currency is not None and when.currency not in MINOR_DIGITS:
        raise InvalidInput.at(f"{pointer}/currency", f'"{when.currency}" is not an ISO 4217 currency code')
    for field in ("amount_at_least", "amount_below"):
        amount: Decimal | None = getattr(when, field)
        if amount is None:
            continue
        if when.currency is None:
            raise InvalidInput.at(f"{pointer}/{field}", "needs a currency beside it")
        check_amount(amount, when.currency, f"{pointer}/{field}")


def check_amount(amount: Decimal, currency: str, pointer: str) -> None:
    """Check an amount in major units of a currency; raises InvalidInput that names the place."""
    if currency not in MINOR_DIGITS:
        raise InvalidInput.at(pointer, f'"{currency}" is not an ISO 4217 currency code')
    try:
        parse_amount(amount, currency)
    except ValueError as error:
        raise InvalidInput.at(pointer, str(error)) from error
