"""Card precision at k equals the definition, written out slowly."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.times import DAY_MS
from cardwatch.learning.evaluate.card_precision import card_precision

PAYMENTS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("abcdefg"), st.integers(0, 6), st.booleans()), min_size=1, max_size=40
)
"""Day, account, score in tenths (so that scores tie), whether it is fraud."""


def slow_card_precision(payments: list[tuple[int, str, int, bool]], cards: int) -> float:
    """Follow the definition day by day: rank, look at the first, and never at a card again that was found."""
    found: set[str] = set()
    seen = list(dict.fromkeys(account for _, account, _, _ in payments))
    shares = []
    for day in sorted({day for day, _, _, _ in payments}):
        todays = [one for one in payments if one[0] == day and one[1] not in found]
        highest: dict[str, int] = {}
        for _, account, score, _ in todays:
            highest[account] = max(score, highest.get(account, -1))
        first = sorted(highest, key=lambda account: (-highest[account], seen.index(account)))[:cards]
        caught = [account for account in first if any(one[1] == account and one[3] for one in todays)]
        found.update(caught)
        shares.append(len(caught) / cards)
    return sum(shares) / len(shares)


@given(PAYMENTS, st.integers(1, 5))
def test_card_precision_is_its_definition(payments: list[tuple[int, str, int, bool]], cards: int) -> None:
    """Ties, several payments of a card, and cards found before are treated as the definition says."""
    payments = sorted(payments, key=lambda one: one[0])
    measured = card_precision(
        np.array([int(fraud) for _, _, _, fraud in payments]),
        np.array([score / 10 for _, _, score, _ in payments]),
        np.array([day * DAY_MS + 5 for day, _, _, _ in payments]),
        [account for _, account, _, _ in payments],
        cards=cards,
    )
    assert math.isclose(measured, slow_card_precision(payments, cards), abs_tol=1e-12)
