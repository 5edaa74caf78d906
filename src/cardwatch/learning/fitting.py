"""Fitting LightGBM so that the same sample gives the same bytes, and probabilities mean what they say.

Payments are not weighted and none is left out, so scores are calibrated as they come; that is measured, not assumed.
"""

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

from cardwatch.learning.metrics import Floats, Integers

TREES_MAX = 200
LEAVES_MAX = 31
"""The shipped model stays this small so that explaining one payment takes at most 3 ms."""

PARAMETERS: dict[str, str | int | float | bool] = {
    "objective": "binary",
    "learning_rate": 0.06,
    "num_leaves": LEAVES_MAX,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "min_gain_to_split": 0.05,
    "max_bin": 255,
    "monotone_constraints_method": "intermediate",
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
"""Chosen on a simulated population that is neither trained on nor reported; see docs/detection.md."""

EARLY_STOPPING_ROUNDS = 30

_RISING = ("amount_to_median", "amount_to_q90", "amount_to_max", "amount_deviation", "place_unresolved")
_FALLING_PREFIXES = ("merchant_count_", "merchant_sum_", "merchant_usual_", "merchant_accounts_")
"""A busy merchant must never look worse for being busy: live traffic can be far denser than any that was simulated."""


class Part(msgspec.Struct, frozen=True):
    """Rows of a sample: matrix (rows x features), labels (0 or 1), amounts in minor units."""

    matrix: Floats
    frauds: Integers
    amounts_minor: Integers

    def rows(self, chosen: NDArray[np.bool_]) -> "Part":
        """Return the rows that a mask chooses."""
        return Part(self.matrix[chosen], self.frauds[chosen], self.amounts_minor[chosen])

    def joined(self, later: "Part") -> "Part":
        """Return this part's rows and then the other's."""
        return Part(
            np.concatenate((self.matrix, later.matrix)),
            np.concatenate((self.frauds, later.frauds)),
            np.concatenate((self.amounts_minor, later.amounts_minor)),
        )


def direction(name: str) -> int:
    """Return 1 where a feature may only raise the score, -1 where it may only lower it, else 0."""
    if name in _RISING:
        return 1
    return -1 if name.startswith(_FALLING_PREFIXES) else 0


def fit(
    training: Part, stopping: Part, *, names: tuple[str, ...], seed: int, trees_max: int = TREES_MAX
) -> lightgbm.Booster:
    """Fit trees on one part and stop where the other's log-loss no longer falls."""
    parameters = _parameters(names, seed)
    dataset = _dataset(training, names, parameters)
    return lightgbm.train(
        parameters,
        dataset,
        num_boost_round=trees_max,
        valid_sets=[dataset.create_valid(stopping.matrix, stopping.frauds)],
        callbacks=[lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)],
    )


def refit(part: Part, *, names: tuple[str, ...], seed: int, trees: int) -> lightgbm.Booster:
    """Fit a known number of trees."""
    parameters = _parameters(names, seed)
    return lightgbm.train(parameters, _dataset(part, names, parameters), num_boost_round=trees)


def _parameters(names: tuple[str, ...], seed: int) -> dict[str, object]:
    return {**PARAMETERS, "seed": seed, "monotone_constraints": [direction(name) for name in names]}


def _dataset(part: Part, names: tuple[str, ...], parameters: dict[str, object]) -> lightgbm.Dataset:
    return lightgbm.Dataset(part.matrix, part.frauds, feature_name=list(names), params=parameters)
