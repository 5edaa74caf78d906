"""Options that say what mistakes cost, in the accounts' currency."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, TypeAlias

import typer

from cardwatch.domain.money import AMOUNT_MINOR_MAX
from cardwatch.entrypoints.cli.options import WrongUsage
from cardwatch.models.bundle import Costs

WrongChallenge: TypeAlias = Annotated[
    str | None,
    typer.Option("--cost-wrong-challenge", help="What asking a genuine holder costs, such as 50.00."),
]
TextCost: TypeAlias = Annotated[str | None, typer.Option("--cost-text", help="What a text costs, such as 0.01.")]


def costs_from(wrong_challenge: str | None, text: str | None, *, otherwise: Costs) -> Costs:
    """Return the costs that were given, the others as they were; raises InvalidInput for what is no amount."""
    return Costs(
        wrong_challenge_minor=_minor(wrong_challenge, "--cost-wrong-challenge", otherwise.wrong_challenge_minor),
        text_minor=_minor(text, "--cost-text", otherwise.text_minor),
    )


def _minor(amount: str | None, option: str, otherwise: int) -> int:
    """Read hundredths; a cost may be nothing at all."""
    if amount is None:
        return otherwise
    try:
        minor = Decimal(amount) * 100
    except InvalidOperation:
        minor = Decimal(-1)
    if not minor.is_finite() or not 0 <= minor <= AMOUNT_MINOR_MAX or minor != minor.to_integral_value():
        raise WrongUsage.at("", f"{option} must be an amount of 0 or more with at most two decimals, such as 50.00")
    return int(minor)
