"""Training: a window of history becomes a model bundle.

The window is cut by time into three. Trees on the first part stop where the second says so; the second also gives the
calibration, which is kept if it still helps later. Then as many trees grow on the first two, and the last part, the
out-of-time slice, which they have not seen, chooses the threshold and gives everything reported. The trees that ship
grow on the whole window, as many again, because the latest fraud tells most about the next.
"""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import lightgbm
import msgspec
import numpy as np

from cardwatch import __version__
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.history import HistoryRow
from cardwatch.features.engine import FeatureEngine
from cardwatch.features.spec import LABEL_DELAY_S
from cardwatch.learning import fitting, metrics
from cardwatch.learning.calibration import Line, fit_line, improves, probabilities
from cardwatch.learning.card import model_card
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.fitting import Growth
from cardwatch.learning.intervals import bootstrap
from cardwatch.learning.metrics import Floats, Integers, Labels
from cardwatch.learning.model_text import text_of, with_margins
from cardwatch.learning.replay import Progress, Sample, no_progress, replay_sample
from cardwatch.learning.running import Running
from cardwatch.models.bundle import (
    FORMAT_VERSION,
    Bundle,
    Calibration,
    Costs,
    Facts,
    Metrics,
    Window,
    checksums,
    write_bundle,
)

TRAINING_SHARE = 0.65
STOPPING_SHARE = 0.15
"""Of the window's payments, by time; the rest is the out-of-time slice."""

FRAUDS_MIN = 20
"""Frauds that each of the three parts needs to say anything."""

_MEDIAN_ROWS = 200_000
"""Rows, evenly over the window, that say what is usual: medians of millions would take longer and say the same."""

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
    label_delay_ms: int = LABEL_DELAY_S * 1000
    """Labels later than this after the window's end are not used, where the source says when they were known."""
    seed: int = 1
    costs: Costs = Costs()
    version_prefix: str = "model"
    trees_max: int = fitting.TREES_MAX
    """How many trees a member has at most."""
    trees: int | None = None
    """How many trees a member has; None: as many as the second part of the window says."""
    members: int = 1
    """Models of neighbouring seeds whose margins are averaged, in one text."""
    genuine_share: float = 1.0
    """Share of genuine payments that trees grow on, above 0 to 1; the others are made up for by weight."""
    fraud_weight: float = 1.0
    """What a fraud counts while trees grow; calibration sets the scores right again."""
    threads: int = 0
    """0: all cores. The bytes do not depend on it."""
    features: tuple[str, ...] = ()
    """Names of the features to learn from; empty: all."""


class Rows(msgspec.Struct, frozen=True):
    """A sample as arrays in order of time: matrix (rows x features), and a label, an amount and a time for each row."""

    matrix: Floats
    frauds: Labels
    amounts_minor: Integers
    times_ms: Integers


class _Cut(msgspec.Struct, frozen=True):
    """Where the parts end, as numbers of rows."""

    training: int
    stopping: int


def train(
    rows: PaymentColumns | Iterable[HistoryRow],
    *,
    spec: TrainingSpec,
    engine: FeatureEngine,
    out: Path,
    progress: Progress = no_progress,
    running: Running = Running(),  # noqa: B008  a frozen value
) -> Bundle:
    """Replay rows (in order of time and id), fit, measure, and write the bundle into `out`.

    Raises InvalidInput when an option is out of its range or the window holds too little fraud to learn from,
    BundleUnusable when `out` cannot be written.
    """
    check(spec, engine.names)
    known_by_ms = None if spec.until_ms is None else spec.until_ms + spec.label_delay_ms
    sample = replay_sample(
        rows,
        engine=engine,
        from_ms=spec.from_ms,
        until_ms=spec.until_ms,
        known_by_ms=known_by_ms,
        progress=progress,
        work=out,
        running=running,
    )
    return train_on_sample(sample, spec=spec, spec_hash=engine.spec_hash, out=out)


def train_on_sample(sample: Sample, *, spec: TrainingSpec, spec_hash: str, out: Path) -> Bundle:
    """Fit and measure on features that were computed already, and write the bundle; raises as `train` does."""
    check(spec, sample.names)
    sample = chosen_features(sample, spec.features)
    rows = rows_of(sample)
    cut, window = _cut(rows, spec)
    growth = Growth(
        seed=spec.seed,
        threads=spec.threads,
        members=spec.members,
        genuine_share=spec.genuine_share,
        fraud_weight=spec.fraud_weight,
    )
    grown = fitting.BinnedWindow(rows.matrix, rows.frauds, names=sample.names, bins_until=cut.training, growth=growth)
    trees, line = _chosen(grown, rows, cut, spec)
    margins = _margins(grown.grow(cut.stopping, trees=trees), rows.matrix[cut.stopping :], spec, -1)
    line = _kept(line, margins, rows.frauds[cut.stopping :], spec)
    threshold, measured, calibration = _measured(margins, line, rows, cut, spec)
    final = grown.grow(len(rows.frauds), trees=trees)
    if line != Line(1.0, 0.0):
        final = with_margins(final, slope=line.slope, intercept=line.intercept)
    model_text = text_of(final)
    facts = Facts(
        format_version=FORMAT_VERSION,
        model_version=f"{spec.version_prefix}-{checksums({'': model_text.encode()})[''][:12]}",
        source=spec.source,
        threshold=threshold,
        threshold_chosen_by=_CHOSEN_BY,
        feature_names=sample.names,
        feature_medians=_medians(rows.matrix),
        spec_hash=spec_hash,
        window=window,
        seeds={"training": spec.seed},
        parameters=_parameters(spec),
        trees=final.num_trees(),
        metrics=measured,
        calibration=calibration,
        costs=spec.costs,
        libraries=_libraries(),
        checksums={},
    )
    return write_bundle(out, facts=facts, model_text=model_text, card=model_card(facts))


def chosen_features(sample: Sample, names: Sequence[str]) -> Sample:
    """Return a sample with some of its features, in the order given; with all of them when none is named."""
    if not names:
        return sample
    places = [sample.names.index(name) for name in names]
    return replace(sample, names=tuple(names), matrix=sample.matrix[:, places])


def rows_of(sample: Sample) -> Rows:
    """View a sample as arrays, without copying the matrix."""
    return Rows(
        matrix=np.asarray(sample.matrix, dtype=np.float64).reshape(len(sample), len(sample.names)),
        frauds=np.asarray(sample.frauds, dtype=np.int8),
        amounts_minor=np.asarray(sample.amounts_minor, dtype=np.int64),
        times_ms=np.asarray(sample.times_ms, dtype=np.int64),
    )


def check(spec: TrainingSpec, known: Sequence[str]) -> None:
    """Raise InvalidInput, in one line, when an option is out of its range or a feature is not among the known ones."""
    unknown = [name for name in spec.features if name not in known]
    if unknown:
        raise InvalidInput.at("", f"{unknown[0]} is no feature; docs/features.md lists them")
    if len(set(spec.features)) < len(spec.features):
        raise InvalidInput.at("", "a feature is named twice")
    if not 0 < spec.genuine_share <= 1:
        raise InvalidInput.at("", "the share of genuine payments must be above 0 and at most 1")
    if not 0 < spec.fraud_weight < float("inf"):
        raise InvalidInput.at("", "the weight of frauds must be above 0")
    if spec.members < 1 or spec.trees_max < 1 or (spec.trees is not None and spec.trees < 1):
        raise InvalidInput.at("", "there must be at least one tree and one member")
    if spec.costs.wrong_challenge_minor < 0 or spec.costs.text_minor < 0:
        raise InvalidInput.at("", "a cost cannot be below 0")
    if spec.threads < 0 or not 0 <= spec.seed < 2**31 - spec.members:
        raise InvalidInput.at("", "threads cannot be below 0, a seed not below 0 or above two thousand million")


def _cut(rows: Rows, spec: TrainingSpec) -> tuple[_Cut, Window]:
    times = rows.times_ms
    stopping_from_ms = int(np.quantile(times, TRAINING_SHARE, method="lower"))
    slice_from_ms = int(np.quantile(times, TRAINING_SHARE + STOPPING_SHARE, method="lower"))
    training, stopping = np.searchsorted(times, [stopping_from_ms, slice_from_ms])
    cut = _Cut(int(training), int(stopping))
    window = Window(
        from_ms=int(times[0]) if spec.from_ms is None else spec.from_ms,
        stopping_from_ms=stopping_from_ms,
        slice_from_ms=slice_from_ms,
        until_ms=int(times[-1]) + 1 if spec.until_ms is None else spec.until_ms,
        label_delay_ms=spec.label_delay_ms,
        payments=len(times),
        frauds=int(rows.frauds.sum()),
    )
    parts = np.split(rows.frauds, [cut.training, cut.stopping])
    for frauds, name in zip(parts, ("training", "early-stopping", "out-of-time"), strict=True):
        count = int(frauds.sum())
        if count < FRAUDS_MIN:
            found = f"{count} fraud{'' if count == 1 else 's'} among {len(frauds)} payments"
            raise InvalidInput.at(
                "", f"the {name} part has only {found}, {FRAUDS_MIN} are needed: take a longer window"
            )
        if count == len(frauds):
            raise InvalidInput.at("", f"the {name} part has no genuine payment: take a longer window")
    return cut, window


def _chosen(grown: fitting.BinnedWindow, rows: Rows, cut: _Cut, spec: TrainingSpec) -> tuple[int, Line]:
    """Return the number of trees, and the line for their margins; both from the second part of the window."""
    if spec.trees is None:
        boosters = grown.until_no_better(cut.training, cut.stopping, trees_max=spec.trees_max)
        trees = max(1, round(float(np.median([booster.best_iteration for booster in boosters]))))
    else:
        boosters, trees = [grown.grow(cut.training, trees=spec.trees)], spec.trees
    later, frauds = rows.matrix[cut.training : cut.stopping], rows.frauds[cut.training : cut.stopping]
    # A merged model is one of `members` times as many trees; -1 takes them all.
    limit = trees if spec.trees is None else -1
    margins = np.mean([_margins(booster, later, spec, limit) for booster in boosters], axis=0)
    plain = _plain(spec)
    if not improves(plain.applied(margins), frauds):
        return trees, plain
    line = fit_line(plain.applied(margins), frauds)
    if line.slope <= 0:
        return trees, plain
    return trees, Line(line.slope, line.slope * plain.intercept + line.intercept)


def _plain(spec: TrainingSpec) -> Line:
    """Return the line of a model that needs no calibration: frauds that counted w times stand log(w) too high."""
    return Line(1.0, 0.0 - float(np.log(spec.fraud_weight)))


def _kept(line: Line, margins: Floats, frauds: Labels, spec: TrainingSpec) -> Line:
    """Return the line where it also holds later, on the slice, else the plain one.

    Fraud comes in waves: what the second part of the window taught may be gone by the third.
    """
    plain = _plain(spec)
    losses = [metrics.log_loss(frauds, probabilities(one.applied(margins))) for one in (line, plain)]
    return line if losses[0] < losses[1] else plain


def _measured(
    margins: Floats, line: Line, rows: Rows, cut: _Cut, spec: TrainingSpec
) -> tuple[float, Metrics, Calibration]:
    """Return the threshold, and everything measured, on the slice, from the margins of trees that have not seen it."""
    frauds, amounts = rows.frauds[cut.stopping :], rows.amounts_minor[cut.stopping :]
    scores, before = probabilities(line.applied(margins)), probabilities(margins)
    threshold, _ = metrics.cheapest_threshold(frauds, scores, amounts, spec.costs)
    precision, area = bootstrap(frauds, scores, seed=spec.seed)
    bins = metrics.reliability(frauds, scores)
    at = metrics.at_threshold(frauds, scores, threshold)
    measured = Metrics(
        payments=len(scores),
        frauds=int(frauds.sum()),
        average_precision=precision,
        roc_auc=area,
        log_loss=metrics.log_loss(frauds, scores),
        calibration_error=metrics.calibration_error(bins),
        reliability=bins,
        recall_at_threshold=at.recall,
        precision_at_threshold=at.precision,
        challenged_share=at.challenged_share,
    )
    calibration = Calibration(
        slope=line.slope,
        intercept=line.intercept,
        log_loss_before=metrics.log_loss(frauds, before),
        calibration_error_before=metrics.calibration_error(metrics.reliability(frauds, before)),
    )
    return threshold, measured, calibration


def _margins(booster: lightgbm.Booster, matrix: Floats, spec: TrainingSpec, trees: int) -> Floats:
    found = booster.predict(matrix, raw_score=True, num_iteration=trees, num_threads=spec.threads)
    return np.asarray(found, dtype=np.float64)


def _parameters(spec: TrainingSpec) -> dict[str, str | int | float | bool]:
    chosen = {"members": spec.members, "genuine_share": spec.genuine_share, "fraud_weight": spec.fraud_weight}
    return {**fitting.PARAMETERS, **chosen}


def _medians(matrix: Floats) -> tuple[float | None, ...]:
    """Return each feature's median over the rows that have it, None where none has."""
    some = matrix[:: max(1, len(matrix) // _MEDIAN_ROWS)]
    present = (column[~np.isnan(column)] for column in some.T)
    return tuple(float(np.median(column)) if len(column) else None for column in present)


def _libraries() -> dict[str, str]:
    found = {name: version(name) for name in ("lightgbm", "numpy")}
    return {"cardwatch": __version__, **found, "python": ".".join(platform.python_version_tuple()[:2])}
