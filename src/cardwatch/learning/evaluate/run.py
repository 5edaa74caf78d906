"""From rows of history and a bundle to what is measured, and to the report's file."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.evaluate.measure import Evaluation, measure
from cardwatch.learning.evaluate.page import render
from cardwatch.learning.replay import Sample, replay_sample
from cardwatch.learning.running import Running
from cardwatch.learning.train import Rows, rows_of
from cardwatch.models.bundle import Bundle, Costs


def evaluate(
    rows: PaymentColumns | Iterable[HistoryRow],
    *,
    bundle: Bundle,
    engine: FeatureEngine,
    source: str,
    from_ms: int | None = None,
    until_ms: int | None = None,
    costs: Costs | None = None,
    work: Path | None = None,
    running: Running = Running(),  # noqa: B008  a frozen value
) -> Evaluation:
    """Replay payments and measure a bundle on those of [from_ms, until_ms).

    All labels count, whenever they became known: they say what happened. `work` names the output beside which
    unfinished work is kept. Raises InvalidInput when the window is empty, or holds no fraud or no genuine payment.
    """
    sample = replay_sample(rows, engine=engine, from_ms=from_ms, until_ms=until_ms, work=work, running=running)
    frauds = int(np.sum(np.asarray(sample.frauds)))
    if frauds in (0, len(sample)):
        missing = "genuine payment" if frauds else "payment labelled as fraud"
        raise InvalidInput.at("", f"the window holds no {missing}: nothing can be measured")
    return measure(
        bundle,
        _known_to(bundle, sample),
        accounts=[str(number) for number in sample.accounts.tolist()],
        source=source,
        rejected=sample.rejected,
        costs=costs,
    )


def write_report(path: Path, found: Evaluation, bundle: Bundle) -> None:
    """Write the report; raises InvalidInput when the file cannot be written."""
    try:
        path.write_text(render(found, bundle.facts), "utf-8")
    except OSError as error:
        raise InvalidInput.at("", f"{path}: cannot be written: {error.strerror}") from None


def _known_to(bundle: Bundle, sample: Sample) -> Rows:
    """Return the sample with the features that a bundle uses, in its order; copied only where they are others."""
    rows = rows_of(sample)
    if bundle.facts.feature_names == tuple(sample.names):
        return rows
    columns = [sample.names.index(name) for name in bundle.facts.feature_names]
    return Rows(np.ascontiguousarray(rows.matrix[:, columns]), rows.frauds, rows.amounts_minor, rows.times_ms)
