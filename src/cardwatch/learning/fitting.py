"""Growing trees with LightGBM so that the same window gives the same bytes, on any number of threads.

A window's features are binned once, and every stretch of it that trees grow on is a part of that. `deterministic` with
`force_row_wise` makes the trees independent of the number of threads; the loss that stops them is summed here, in one
order, because LightGBM's own sum differs with it in the last digits.
"""

from collections.abc import Sequence

import lightgbm
import msgspec
import numpy as np

from cardwatch.learning.metrics import Floats, Labels, log_loss
from cardwatch.learning.model_text import merge_boosters
from cardwatch.learning.sampling import kept_rows, row_weights

TREES_MAX = 400
LEAVES_MAX = 15
"""The shipped model stays this small so that explaining one payment takes at most 3 ms."""

PARAMETERS: dict[str, str | int | float | bool] = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": LEAVES_MAX,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 255,
    "monotone_constraints_method": "intermediate",
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
"""Chosen on validation weeks of the Fraud Detection Handbook's payments; see docs/detection.md."""

EARLY_STOPPING_ROUNDS = 30

BIN_ROWS = 200_000
"""Rows, evenly over the first stretch, whose values make the bins; LightGBM itself looks at as many."""

_RISING = ("amount_to_median", "amount_to_q90", "amount_to_max", "amount_deviation", "place_unresolved")
_FALLING_PREFIXES = ("merchant_count_", "merchant_sum_", "merchant_usual_", "merchant_accounts_")
"""A busy merchant must never look worse for being busy: live traffic can be far denser than any that was simulated."""


def direction(name: str) -> int:
    """Return 1 where a feature may only raise the score, -1 where it may only lower it, else 0."""
    if name in _RISING:
        return 1
    return -1 if name.startswith(_FALLING_PREFIXES) else 0


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """How trees grow."""

    seed: int = 1
    threads: int = 0
    """0: all cores."""
    members: int = 1
    """Models of neighbouring seeds whose margins are averaged, in one text."""
    genuine_share: float = 1.0
    """Share of the genuine payments that trees grow on, each counting for 1 / share of them."""
    fraud_weight: float = 1.0
    """What a fraud counts; scores are set right again afterwards, by calibration."""


class BinnedWindow:
    """A window of payments in order of time, binned once, on whose stretches trees grow."""

    def __init__(
        self, matrix: Floats, frauds: Labels, *, names: Sequence[str], bins_until: int, growth: Growth
    ) -> None:
        """Bin a matrix (rows x features); only rows before `bins_until` say where the bins lie."""
        self._growth = growth
        self._monotone = [direction(name) for name in names]
        parameters = self._parameters(0)
        kept = kept_rows(frauds, share=growth.genuine_share, seed=growth.seed)
        # All rows are looked at where they lie; only a sample is worth a copy.
        sampled = matrix if len(kept) == len(matrix) else matrix[kept]
        labels = frauds[kept].astype(np.float32)
        self._rows = kept
        known = int(np.searchsorted(kept, bins_until))
        chosen = np.unique(np.linspace(0, known - 1, min(known, BIN_ROWS)).astype(np.int64))
        bins = lightgbm.Dataset(sampled[chosen], labels[chosen], feature_name=list(names), params=parameters)
        self._whole = lightgbm.Dataset(
            sampled,
            labels,
            weight=row_weights(frauds[kept], share=growth.genuine_share, fraud_weight=growth.fraud_weight),
            reference=bins,
            feature_name=list(names),
            params=parameters,
        ).construct()

    def until_no_better(self, training_end: int, stopping_end: int, *, trees_max: int) -> list[lightgbm.Booster]:
        """Grow trees on the rows before `training_end` until the log-loss of those up to `stopping_end` stops falling.

        One model a member; each knows its `best_iteration`.
        """
        training, stopping = self._stretch(0, training_end), self._stretch(training_end, stopping_end)
        return [
            lightgbm.train(
                {**self._parameters(member), "metric": "None"},
                training,
                num_boost_round=trees_max,
                valid_sets=[stopping],
                feval=_log_loss,
                callbacks=[lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)],
            )
            for member in range(self._growth.members)
        ]

    def grow(self, end: int, *, trees: int) -> lightgbm.Booster:
        """Grow so many trees, a member, on the rows before `end`; returns the members as one model."""
        stretch = self._stretch(0, end)
        members = range(self._growth.members)
        return merge_boosters(
            [lightgbm.train(self._parameters(member), stretch, num_boost_round=trees) for member in members]
        )

    def _stretch(self, start: int, end: int) -> lightgbm.Dataset:
        first, last = np.searchsorted(self._rows, [start, end])
        if first == 0 and last == len(self._rows):
            return self._whole
        return self._whole.subset(np.arange(first, last)).construct()  # type: ignore[arg-type]  # arrays do

    def _parameters(self, member: int) -> dict[str, object]:
        return {
            **PARAMETERS,
            "seed": self._growth.seed + member,
            "data_random_seed": self._growth.seed,
            "num_threads": self._growth.threads,
            "monotone_constraints": self._monotone,
        }


def _log_loss(scores: Floats, rows: lightgbm.Dataset) -> tuple[str, float, bool]:
    """Return the log-loss as LightGBM wants a metric: its name, its value, and that higher is not better."""
    weights = rows.get_weight()
    loss = log_loss(np.asarray(rows.get_label()), scores, weights=None if weights is None else np.asarray(weights))
    return "log_loss", loss, False
