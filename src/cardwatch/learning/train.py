"""Training: a window of history becomes a model bundle.

The window is cut by time into three: on the first the trees grow, on the second their number is chosen, on the last
the threshold is chosen and everything reported is measured. The final trees grow on the first two.
"""

import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import lightgbm
import msgspec
import numpy as np

from cardwatch import __version__
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.learning import fitting, metrics
from cardwatch.learning.card import model_card
from cardwatch.learning.fitting import Part
from cardwatch.learning.metrics import Floats
from cardwatch.learning.replay import Progress, Sample, no_progress, replay_sample
from cardwatch.models.bundle import FORMAT_VERSION, Bundle, Costs, Facts, Metrics, Window, checksums, write_bundle

TRAINING_SHARE = 0.65
STOPPING_SHARE = 0.15
"""Of the window's payments, by time; the rest is the out-of-time slice."""

FRAUDS_MIN = 20
"""Frauds that each of the three parts needs to say anything."""

_CHOSEN_BY = (
    f"expected cost on the out-of-time slice (the highest within {metrics.COST_TOLERANCE:.0%} of the lowest cost)"
)


class TrainingSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to train on and with."""

    source: str
    """What the rows are, in words for the model card."""
    from_ms: int | None = None
    """The window's first instant, inclusive; earlier rows feed the state. None: from the first row."""
    until_ms: int | None = None
    """The window's end, exclusive; later rows are not read. None: to the last row."""
    label_delay_ms: int = 0
    """Labels later than this after the window's end are not used, where the source says when they were known."""
    seed: int = 1
    costs: Costs = Costs()
    version_prefix: str = "model"
    trees_max: int = fitting.TREES_MAX


def train(
    rows: Iterable[HistoryRow],
    *,
    spec: TrainingSpec,
    engine: FeatureEngine,
    out: Path,
    progress: Progress = no_progress,
) -> Bundle:
    """Replay rows (in order of time and id), fit, measure, and write the bundle into `out`.

    Raises InvalidInput when the window holds too little fraud to learn from, BundleUnusable when `out` cannot be
    written.
    """
    known_by_ms = None if spec.until_ms is None else spec.until_ms + spec.label_delay_ms
    sample = replay_sample(
        rows, engine=engine, from_ms=spec.from_ms, until_ms=spec.until_ms, known_by_ms=known_by_ms, progress=progress
    )
    return train_on_sample(sample, spec=spec, spec_hash=engine.spec_hash, out=out)


def train_on_sample(sample: Sample, *, spec: TrainingSpec, spec_hash: str, out: Path) -> Bundle:
    """Fit and measure on features that were computed already, and write the bundle; raises as `train` does."""
    whole = part_of(sample)
    training, stopping, latest, window = _cut(sample, whole, spec)
    first = fitting.fit(training, stopping, names=sample.names, seed=spec.seed, trees_max=spec.trees_max)
    trees = max(1, first.best_iteration)
    both = training.joined(stopping)
    booster = fitting.refit(both, names=sample.names, seed=spec.seed, trees=trees)
    threshold, measured = _measure(booster, latest, spec)
    model_text = booster.model_to_string()
    facts = Facts(
        format_version=FORMAT_VERSION,
        model_version=f"{spec.version_prefix}-{checksums({'': model_text.encode()})[''][:12]}",
        source=spec.source,
        threshold=threshold,
        threshold_chosen_by=_CHOSEN_BY,
        feature_names=sample.names,
        feature_medians=_medians(both),
        spec_hash=spec_hash,
        window=window,
        seeds={"training": spec.seed},
        parameters=fitting.PARAMETERS,
        trees=trees,
        metrics=measured,
        costs=spec.costs,
        libraries=_libraries(),
        checksums={},
    )
    return write_bundle(out, facts=facts, model_text=model_text, card=model_card(facts))


def part_of(sample: Sample) -> Part:
    """View a sample as arrays, without copying the matrix."""
    matrix = np.frombuffer(sample.matrix, dtype=np.float64).reshape(len(sample), len(sample.names))
    frauds = np.frombuffer(sample.frauds, dtype=np.int8).astype(np.int64)
    return Part(matrix, frauds, np.frombuffer(sample.amounts_minor, dtype=np.int64))


def _cut(sample: Sample, whole: Part, spec: TrainingSpec) -> tuple[Part, Part, Part, Window]:
    times = np.frombuffer(sample.times_ms, dtype=np.int64)
    stopping_from_ms = int(np.quantile(times, TRAINING_SHARE, method="lower"))
    slice_from_ms = int(np.quantile(times, TRAINING_SHARE + STOPPING_SHARE, method="lower"))
    window = Window(
        from_ms=int(times[0]) if spec.from_ms is None else spec.from_ms,
        stopping_from_ms=stopping_from_ms,
        slice_from_ms=slice_from_ms,
        until_ms=int(times[-1]) + 1 if spec.until_ms is None else spec.until_ms,
        label_delay_ms=spec.label_delay_ms,
        payments=len(sample),
        frauds=int(whole.frauds.sum()),
    )
    parts = (
        whole.rows(times < stopping_from_ms),
        whole.rows((times >= stopping_from_ms) & (times < slice_from_ms)),
        whole.rows(times >= slice_from_ms),
    )
    for part, name in zip(parts, ("training", "early-stopping", "out-of-time"), strict=True):
        if part.frauds.sum() < FRAUDS_MIN:
            found = f"{int(part.frauds.sum())} frauds among {len(part.frauds)} payments"
            raise InvalidInput.at(
                "", f"the {name} part has only {found}, {FRAUDS_MIN} are needed: take a longer window"
            )
    training, stopping, latest = parts
    return training, stopping, latest, window


def _measure(booster: lightgbm.Booster, part: Part, spec: TrainingSpec) -> tuple[float, Metrics]:
    scores: Floats = np.asarray(booster.predict(part.matrix, num_threads=1))
    threshold, _ = metrics.cheapest_threshold(part.frauds, scores, part.amounts_minor, spec.costs)
    precision, area = metrics.bootstrap(part.frauds, scores, seed=spec.seed)
    bins = metrics.reliability(part.frauds, scores)
    flagged, fraud = scores >= threshold, part.frauds == 1
    return threshold, Metrics(
        payments=len(scores),
        frauds=int(fraud.sum()),
        average_precision=precision,
        roc_auc=area,
        log_loss=metrics.log_loss(part.frauds, scores),
        calibration_error=metrics.calibration_error(bins),
        reliability=bins,
        recall_at_threshold=float(flagged[fraud].mean()),
        precision_at_threshold=float(fraud[flagged].mean()) if flagged.any() else 0.0,
        challenged_share=float(flagged[~fraud].mean()),
    )


def _medians(part: Part) -> tuple[float | None, ...]:
    """Return each feature's median over the rows that have it, None where none has."""
    present = (column[~np.isnan(column)] for column in part.matrix.T)
    return tuple(float(np.median(column)) if len(column) else None for column in present)


def _libraries() -> dict[str, str]:
    found = {name: version(name) for name in ("lightgbm", "numpy")}
    return {"cardwatch": __version__, **found, "python": ".".join(platform.python_version_tuple()[:2])}
