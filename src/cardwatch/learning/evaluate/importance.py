"""Which features a model leans on: what its splits gained in training, and how far each moves the scores here."""

import lightgbm
import msgspec
import numpy as np

from cardwatch.learning.metrics import Floats

EXPLAINED_ROWS = 2000
"""Payments, evenly over the window; explaining one takes about a millisecond."""


class Importance(msgspec.Struct, frozen=True):
    """One feature."""

    name: str
    gain: float
    """Its share of the gain of all splits, 0 to 1."""
    contribution: float
    """The mean of what it adds to, or takes from, the log-odds of a payment, without the sign (TreeSHAP)."""


def importances(model_text: str, matrix: Floats, names: tuple[str, ...], *, threads: int = 0) -> tuple[Importance, ...]:
    """Return the features that a model uses, those that move scores most first."""
    booster = lightgbm.Booster(model_str=model_text)
    gains = booster.feature_importance("gain")
    some = matrix[:: max(1, len(matrix) // EXPLAINED_ROWS)][:EXPLAINED_ROWS]
    parts = np.asarray(booster.predict(some, pred_contrib=True, num_threads=threads))
    moved = np.abs(parts[:, :-1]).mean(axis=0)
    total = float(gains.sum()) or 1.0
    found = [
        Importance(name, float(gain / total), float(contribution))
        for name, gain, contribution in zip(names, gains, moved, strict=True)
        if gain > 0
    ]
    return tuple(sorted(found, key=lambda one: (-one.contribution, one.name)))
