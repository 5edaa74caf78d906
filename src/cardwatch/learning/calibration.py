"""Platt scaling: the line through margins after which scores are probabilities.

Source: J. Platt, "Probabilistic outputs for support vector machines", 1999, with the smoothed targets of its section
2.2; fitted by Newton's method with halved steps, as Lin, Lin and Weng, "A note on Platt's probabilistic outputs", 2007.
"""

import msgspec
import numpy as np

from cardwatch.learning.metrics import Floats, Labels, log_loss

FOLDS = 5
_STEPS_MAX = 50
_RIDGE = 1e-12


class Line(msgspec.Struct, frozen=True):
    """`slope * margin + intercept`, in log-odds."""

    slope: float
    intercept: float

    def applied(self, margins: Floats) -> Floats:
        """Return the margins on the line."""
        return self.slope * margins + self.intercept


def probabilities(margins: Floats) -> Floats:
    """Return the probabilities of log-odds."""
    return 1.0 / (1.0 + np.exp(-margins))


def fit_line(margins: Floats, frauds: Labels) -> Line:
    """Return the line under which the labels are likeliest; both kinds of label must be there."""
    count = float(frauds.sum())
    high, low = (count + 1) / (count + 2), 1 / (len(frauds) - count + 2)
    targets = np.where(frauds == 1, high, low)
    line = Line(1.0, 0.0)
    loss = _loss(line, margins, targets)
    for _ in range(_STEPS_MAX):
        step = _newton_step(line, margins, targets)
        size = 1.0
        while size > 1e-10:
            tried = Line(line.slope - size * step[0], line.intercept - size * step[1])
            tried_loss = _loss(tried, margins, targets)
            if tried_loss <= loss:
                break
            size /= 2
        else:
            return line
        gained, line, loss = loss - tried_loss, tried, tried_loss
        if gained < 1e-14:
            break
    return line


def improves(margins: Floats, frauds: Labels) -> bool:
    """Say whether lines fitted on four fifths of the rows lower the log-loss of the other fifths, taken together."""
    mapped = np.empty_like(margins)
    folds = np.arange(len(margins)) % FOLDS
    for fold in range(FOLDS):
        others = folds != fold
        mapped[~others] = fit_line(margins[others], frauds[others]).applied(margins[~others])
    return log_loss(frauds, probabilities(mapped)) < log_loss(frauds, probabilities(margins))


def _loss(line: Line, margins: Floats, targets: Floats) -> float:
    """Return the mean cross-entropy, in the form that does not overflow."""
    mapped = line.applied(margins)
    return float(np.mean(np.logaddexp(0.0, mapped) - targets * mapped))


def _newton_step(line: Line, margins: Floats, targets: Floats) -> tuple[float, float]:
    found = probabilities(line.applied(margins))
    error, weight = found - targets, found * (1 - found)
    gradient = float(np.mean(error * margins)), float(np.mean(error))
    a, b, c = float(np.mean(weight * margins**2)) + _RIDGE, float(np.mean(weight * margins)), float(weight.mean())
    c += _RIDGE
    determinant = a * c - b * b
    return (c * gradient[0] - b * gradient[1]) / determinant, (a * gradient[1] - b * gradient[0]) / determinant
