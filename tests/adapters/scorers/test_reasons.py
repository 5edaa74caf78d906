"""Reasons say in plain words what moved the score, with the value and what is usual."""

import math

import pytest

from cardwatch.adapters.scorers.reasons import REASONS_MAX, Explainer, every, print_value, strongest
from cardwatch.domain.decision import Direction, Reason
from cardwatch.features.engine import default_engine
from cardwatch.features.spec import Printed

FEATURES = default_engine().describe()
NAMES = default_engine().names


def explainer(values: dict[str, float], currency: str = "USD", *, median: float | None = 1.0) -> Explainer:
    """Return what explains a payment that has these values, all others missing."""
    every_value = {name: values.get(name, math.nan) for name in NAMES}
    return Explainer(FEATURES, [median] * len(NAMES), every_value, currency)


def explained(values: dict[str, float], contributions: dict[str, float], currency: str = "USD") -> tuple[Reason, ...]:
    """Explain a payment that has these values and contributions."""
    return strongest(explainer(values, currency), [contributions.get(name, 0.0) for name in NAMES])


def test_an_amount_is_told_against_the_accounts_usual() -> None:
    """The ratio, and the usual amount as money of the payment's currency."""
    values = {"amount_to_median": 31.1, "account_amount_median": 4820.0}
    (reason,) = explained(values, {"amount_to_median": 2.5})
    assert reason.text == "The amount is 31 times the account's usual $48.20"
    assert (reason.value, reason.usual, reason.contribution) == ("31 times", "$48.20", 2.5)
    (euro,) = explained(values, {"amount_to_median": 2.5}, "EUR")
    assert euro.usual == "€48.20"


def test_reasons_towards_fraud_come_first_each_strongest_first() -> None:
    """What speaks against fraud follows, and what hardly moved the score is left out."""
    values = {"place_unresolved": 1.0, "night": 1.0, "account_new_merchant": 1.0, "weekend": 0.0}
    contributions = {"night": 0.4, "place_unresolved": 2.0, "account_new_merchant": 0.01, "weekend": -3.0}
    codes = [reason.code for reason in explained(values, contributions)]
    assert codes == ["UNKNOWN_PLACE", "NIGHT", "WEEKEND"]


def test_one_code_speaks_once_and_missing_values_not_at_all() -> None:
    """Of several features with one code the strongest is told; a feature without a value is no reason."""
    values = {"amount_to_median": 9.0, "amount_to_max": 3.0, "account_amount_median": 1000.0}
    contributions = {"amount_to_median": 1.0, "amount_to_max": 2.0, "speed_kmh": 5.0}
    (reason,) = explained(values, contributions)
    assert reason.feature == "amount_to_max"


def test_a_usual_that_is_not_known_is_not_spoken_of() -> None:
    """Without a usual value the sentence stands without it."""
    (reason,) = explained({"amount": 150_000.0}, {"amount": 1.0})
    assert reason.text == "The amount, $1,500.00, is high"
    assert reason.usual is None


def test_at_most_five_reasons_and_every_feature_has_a_sentence() -> None:
    """Any feature can be the reason, high or low, and leaves no placeholder; a full vector gives five reasons."""
    for name in NAMES:
        for value in (0.0, 1.0, 3.0, 5000.0):
            usual = dict.fromkeys(NAMES, 2.0)
            reasons = explained({**usual, name: value}, {name: 1.0})
            assert len(reasons) == 1
            assert reasons[0].text
            assert "{" not in reasons[0].text
            assert "None" not in reasons[0].text
    assert len(explained(dict.fromkeys(NAMES, 1.0), dict.fromkeys(NAMES, 1.0))) == REASONS_MAX


def test_where_nobody_knows_what_is_high_the_value_stands_alone() -> None:
    """A model without medians calls nothing high or low, and still says what is usual for the account."""
    told = explainer({"amount": 500.0, "account_amount_median": 4820.0, "night": 1.0}, median=None)
    texts = {reason.feature: reason.text for reason in every(told, [0.5] * len(NAMES))}
    assert texts["amount"] == "Amount: $5.00 (usual: $48.20)"
    assert texts["night"] == "Paid at night where the holder lives"
    assert texts["speed_kmh"] == "Speed kmh: not known"


def test_the_whole_explanation_names_every_feature_strongest_first() -> None:
    """Also those without a value or an effect, each with the way it moved the score."""
    contributions = {"night": -2.0, "amount": 1.0}
    reasons = every(explainer({"night": 0.0, "amount": 100.0}), [contributions.get(name, 0.0) for name in NAMES])
    assert {reason.feature for reason in reasons} == set(NAMES)
    assert [(reason.feature, reason.direction) for reason in reasons[:3]] == [
        ("night", Direction.AGAINST_FRAUD),
        ("amount", Direction.TOWARDS_FRAUD),
        (reasons[2].feature, None),
    ]


@pytest.mark.parametrize(
    ("value", "printed", "text"),
    [
        (150_000, Printed.MONEY, "$1,500.00"),
        (31.2, Printed.TIMES, "31 times"),
        (1.44, Printed.TIMES, "1.4 times"),
        (0.012, Printed.TIMES, "0.012 times"),
        (45, Printed.DURATION, "45 seconds"),
        (60, Printed.DURATION, "1 minute"),
        (7300, Printed.DURATION, "2 hours"),
        (200_000, Printed.DURATION, "2 days"),
        (1, Printed.DAYS, "1 day"),
        (8123.4, Printed.DISTANCE, "8,123 km"),
        (900, Printed.SPEED, "900 km/h"),
        (3, Printed.HOUR, "03:00"),
        (0.25, Printed.SHARE, "25%"),
        (1, Printed.FLAG, "yes"),
        (1234, Printed.COUNT, "1,234"),
        (2.14, Printed.RATE, "2.1"),
        (5.55, Printed.NUMBER, "5.5"),
    ],
)
def test_values_are_printed_for_people(value: float, printed: Printed, text: str) -> None:
    """Each kind of value has its form."""
    assert print_value(value, printed, "USD") == text
