"""Card precision: of the cards that a day's analysts would look at, the share that was really misused that day.

Source: Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection -
Practical Handbook", 2022, chapter 4.4: each day the k cards of the highest score; a card found is not looked at again.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cardwatch.domain.times import DAY_MS
from cardwatch.learning.metrics import Floats, Integers, Labels

CARDS_A_DAY = 100


def card_precision(
    frauds: Labels, scores: Floats, times_ms: Integers, accounts: Sequence[str], *, cards: int = CARDS_A_DAY
) -> float:
    """Return the mean over days (UTC) of frauds found among the `cards` accounts of the highest score, over `cards`.

    An account's score is its highest that day, and it is found when any of its payments that day is fraud. Of equal
    scores the account that paid first in the data comes first. NaN without payments.
    """
    _, numbers = np.unique(np.asarray(accounts, dtype=object).astype(str), return_inverse=True)
    first_seen = np.full(int(numbers.max(initial=-1)) + 1, len(numbers))
    np.minimum.at(first_seen, numbers, np.arange(len(numbers)))
    days = times_ms // DAY_MS
    found = np.zeros(len(first_seen), dtype=bool)
    shares = []
    for day in np.unique(days):
        rows = np.flatnonzero((days == day) & ~found[numbers])
        ranked, misused = _ranked(numbers[rows], scores[rows], frauds[rows] == 1, first_seen)
        caught = ranked[:cards][misused[:cards]]
        found[caught] = True
        shares.append(len(caught) / cards)
    return float(np.mean(shares)) if shares else float("nan")


def _ranked(
    numbers: Integers, scores: Floats, frauds: NDArray[np.bool_], first_seen: Integers
) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the accounts of payments by their highest score, falling, and whether each was misused."""
    present, at = np.unique(numbers, return_inverse=True)
    highest, misused = np.full(len(present), -np.inf), np.zeros(len(present), dtype=bool)
    np.maximum.at(highest, at, scores)
    np.logical_or.at(misused, at, frauds)
    order = np.lexsort((first_seen[present], -highest))
    return present[order], misused[order]
