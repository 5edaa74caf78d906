"""Calibration: the line that makes scores probabilities again, and when it is not worth drawing."""

import numpy as np
import pytest

from cardwatch.learning.calibration import Line, fit_line, improves, probabilities
from cardwatch.learning.metrics import Floats, Integers

GENERATOR = np.random.default_rng(11)


def drawn(count: int, *, slope: float = 1.0, intercept: float = 0.0) -> tuple[Floats, Integers]:
    """Return margins, and labels drawn with the probability that a line through them gives."""
    margins = GENERATOR.normal(-3, 2, count)
    return margins, (GENERATOR.random(count) < probabilities(slope * margins + intercept)).astype(np.int64)


def test_the_line_that_labels_were_drawn_from_is_found() -> None:
    """Slope and intercept come back within what chance allows, from overconfident margins and from timid ones."""
    for slope, intercept in ((0.5, -1.0), (1.6, 0.8)):
        line = fit_line(*drawn(200_000, slope=slope, intercept=intercept))
        assert line.slope == pytest.approx(slope, abs=0.03)
        assert line.intercept == pytest.approx(intercept, abs=0.06)


def test_the_line_is_finite_where_margins_tell_everything() -> None:
    """Labels that a margin separates would pull a plain fit to infinity."""
    margins = np.concatenate((np.full(500, -4.0), np.full(30, 4.0)))
    line = fit_line(margins, (margins > 0).astype(np.int64))
    assert np.isfinite([line.slope, line.intercept]).all()
    assert line.slope > 0


def test_a_line_is_drawn_only_where_rows_it_has_not_seen_gain() -> None:
    """Overconfident margins gain; margins that are right already do not, or by nothing that matters."""
    assert improves(*drawn(50_000, slope=0.5, intercept=-1.0))
    margins, frauds = drawn(50_000)
    line = fit_line(margins, frauds) if improves(margins, frauds) else Line(1.0, 0.0)
    assert line.slope == pytest.approx(1, abs=0.05)
    assert line.intercept == pytest.approx(0, abs=0.1)
