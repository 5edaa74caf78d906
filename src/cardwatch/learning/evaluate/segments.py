"""Results by kind of payment: bands of amounts, times, accounts and places, from the features that are there."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cardwatch.domain.times import DAY_MS, HOUR_MS
from cardwatch.learning.metrics import Floats, Integers, Labels, at_threshold, average_precision, roc_auc

Mask = NDArray[np.bool_]

_AMOUNTS = (
    ("below 10", 0, 1_000),
    ("10 to 50", 1_000, 5_000),
    ("50 to 100", 5_000, 10_000),
    ("100 to 500", 10_000, 50_000),
    ("500 and more", 50_000, None),
)
"""Names, and from (inclusive) and to (exclusive) in minor units."""
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIRST_MONDAY = 4
"""Days since 1970-01-01, a Thursday."""
_HOURS = (("0 to 5", 0, 6), ("6 to 11", 6, 12), ("12 to 17", 12, 18), ("18 to 23", 18, 24))
_NEAR_KM, _FAR_KM = 50.0, 500.0


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """How a model does on one kind of payments."""

    group: str
    name: str
    payments: int
    frauds: int
    average_precision: float | None
    """None without frauds."""
    roc_auc: float | None
    """None where frauds or genuine payments are missing."""
    recall: float | None
    """Share of the frauds that reach the threshold; None without frauds."""
    challenges_per_1000: float
    expected_frauds: float
    """The sum of the scores: what the model thinks there are."""


def by_segment(
    matrix: Floats,
    names: Sequence[str],
    *,
    frauds: Labels,
    scores: Floats,
    amounts_minor: Integers,
    times_ms: Integers,
    threshold: float,
) -> tuple[Segment, ...]:
    """Return a row for each kind that has payments, groups together; a group whose feature is missing is left out."""
    columns = {name: matrix[:, number] for number, name in enumerate(names)}
    groups = [
        *_amounts(amounts_minor),
        *_hours(columns, times_ms),
        *_weekdays(times_ms),
        *_accounts(columns),
        *_places(columns),
    ]
    return tuple(
        _measured(group, name, frauds[mask], scores[mask], threshold) for group, name, mask in groups if mask.any()
    )


def _measured(group: str, name: str, frauds: Labels, scores: Floats, threshold: float) -> Segment:
    precision, area = average_precision(frauds, scores), roc_auc(frauds, scores)
    count = int(frauds.sum())
    return Segment(
        group=group,
        name=name,
        payments=len(frauds),
        frauds=count,
        average_precision=None if np.isnan(precision) else precision,
        roc_auc=None if np.isnan(area) else area,
        recall=at_threshold(frauds, scores, threshold).recall if count else None,
        challenges_per_1000=1000 * float(np.mean(scores >= threshold)),
        expected_frauds=float(scores.sum()),
    )


def _amounts(amounts_minor: Integers) -> Iterator[tuple[str, str, Mask]]:
    for name, low, high in _AMOUNTS:
        yield "Amount", name, (amounts_minor >= low) & (amounts_minor < (high or np.inf))


def _hours(columns: dict[str, Floats], times_ms: Integers) -> Iterator[tuple[str, str, Mask]]:
    local = columns.get("local_hour")
    hours = times_ms // HOUR_MS % 24 if local is None else local
    for name, low, high in _HOURS:
        yield "Hour (UTC)" if local is None else "Hour where the holder lives", name, (hours >= low) & (hours < high)


def _weekdays(times_ms: Integers) -> Iterator[tuple[str, str, Mask]]:
    days = (times_ms // DAY_MS - _FIRST_MONDAY) % 7
    for number, name in enumerate(_DAYS):
        yield "Weekday (UTC)", name, days == number


def _accounts(columns: dict[str, Floats]) -> Iterator[tuple[str, str, Mask]]:
    payments = columns.get("account_payments")
    if payments is not None:
        known = np.nan_to_num(payments)
        yield "Account", "first payment", known < 1
        yield "Account", "second to tenth payment", (known >= 1) & (known < 10)
        yield "Account", "later payments", known >= 10


def _places(columns: dict[str, Floats]) -> Iterator[tuple[str, str, Mask]]:
    distance = columns.get("home_distance_km")
    if distance is not None:
        yield "Place", f"within {_NEAR_KM:.0f} km of home", distance < _NEAR_KM
        yield "Place", f"{_NEAR_KM:.0f} to {_FAR_KM:.0f} km", (distance >= _NEAR_KM) & (distance < _FAR_KM)
        yield "Place", f"{_FAR_KM:.0f} km and more", distance >= _FAR_KM
        yield "Place", "not known", np.isnan(distance)
    for feature, group, yes, no in (
        ("foreign_currency", "Currency", "another than the account's", "the account's"),
        ("account_new_country", "Country", "new to the account", "known to the account"),
        ("abroad", "Country", "abroad", "at home"),
    ):
        column = columns.get(feature)
        if column is not None:
            yield group, yes, column > 0
            yield group, no, column == 0
            yield group, "not known", np.isnan(column)
