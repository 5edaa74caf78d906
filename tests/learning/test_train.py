"""Training: same input, same bytes; windows and label delays are kept; metrics are what they say."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from cardwatch.adapters.models import open_scorer
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.times import DAY_MS
from cardwatch.features.engine import default_engine
from cardwatch.learning.batch_scoring import batch_scores
from cardwatch.learning.feature_file import feature_file
from cardwatch.learning.offline.pipeline import Options
from cardwatch.learning.replay import Sample, replay_sample
from cardwatch.learning.score_file import score_file
from cardwatch.learning.simulate.population import PopulationSpec, simulate_population
from cardwatch.learning.train import FRAUDS_MIN, TrainingSpec, rows_of, train, train_on_sample
from cardwatch.models.bundle import Bundle, BundleUnusable, Costs

ENGINE = default_engine()
POPULATION = PopulationSpec(seed=9, accounts=250, days=60, incidents_per_thousand_account_days=6.0)
START_MS = POPULATION.first_day * DAY_MS


@pytest.fixture(scope="module")
def rows() -> list[HistoryRow]:
    """Return a small population with more fraud than life has."""
    return list(simulate_population(POPULATION))


@pytest.fixture(scope="module")
def sample(rows: list[HistoryRow]) -> Sample:
    """Return the population's features, computed once."""
    return replay_sample(rows, engine=ENGINE)


def trained(rows: list[HistoryRow], out: Path) -> Bundle:
    """Train a small model."""
    return train(rows, spec=TrainingSpec(source="simulated", trees_max=30), engine=ENGINE, out=out)


def test_the_same_rows_give_the_same_bytes(rows: list[HistoryRow], tmp_path: Path) -> None:
    """Two trainings agree in every byte of every file, another process's too."""
    trained(rows, tmp_path / "first")
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.learning.test_train import POPULATION, simulate_population, trained\n"
        "trained(list(simulate_population(POPULATION)), Path(sys.argv[1]))\n"
    )
    root = Path(__file__).parents[2]
    again = [sys.executable, "-c", program, str(tmp_path / "again")]
    subprocess.run(again, check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": "7"})
    for name in ("model.txt", "bundle.json", "card.md"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_trained_bundle_opens_and_finds_fraud(rows: list[HistoryRow], tmp_path: Path) -> None:
    """What training wrote serves at once, and its out-of-time slice lies after its training payments."""
    bundle = trained(rows, tmp_path)
    scorer = open_scorer(tmp_path)
    assert scorer.model_version == bundle.facts.model_version
    assert bundle.facts.metrics is not None
    assert bundle.facts.metrics.roc_auc.value > 0.9
    window = bundle.facts.window
    assert window is not None
    assert window.from_ms < window.stopping_from_ms < window.slice_from_ms < window.until_ms
    assert 0 < bundle.facts.threshold < 1


def test_later_rows_and_later_labels_change_no_feature(rows: list[HistoryRow]) -> None:
    """A window's features are the same whatever follows it or becomes known later, and earlier rows do feed them."""
    until_ms = START_MS + 20 * DAY_MS
    cut = [row for row in rows if row.transaction.timestamp_ms < until_ms]
    window = {"engine": ENGINE, "from_ms": START_MS + 10 * DAY_MS, "until_ms": until_ms}
    whole, alone = replay_sample(rows, **window), replay_sample(cut, **window)  # type: ignore[arg-type]
    assert whole.matrix.tobytes() == alone.matrix.tobytes()
    assert whole.transaction_ids == alone.transaction_ids
    unknown = [
        msgspec.structs.replace(row, is_fraud=None) if (row.label_available_ms or 0) >= until_ms else row
        for row in rows
    ]
    assert unknown != rows
    assert replay_sample(unknown, **window).matrix.tobytes() == whole.matrix.tobytes()  # type: ignore[arg-type]
    without = [row for row in cut if row.transaction.timestamp_ms >= window["from_ms"]]  # type: ignore[operator]
    assert replay_sample(without, **window).matrix.tobytes() != whole.matrix.tobytes()  # type: ignore[arg-type]


def test_a_label_that_was_not_known_yet_counts_as_genuine(rows: list[HistoryRow]) -> None:
    """With a time by which labels had to be known, later fraud reports do not count."""
    until_ms = START_MS + 30 * DAY_MS
    known = replay_sample(rows, engine=ENGINE, until_ms=until_ms, known_by_ms=until_ms + 60 * DAY_MS)
    early = replay_sample(rows, engine=ENGINE, until_ms=until_ms, known_by_ms=until_ms)
    assert 0 < sum(early.frauds) < sum(known.frauds)


def test_a_window_without_payments_or_fraud_is_one_clear_line(rows: list[HistoryRow], tmp_path: Path) -> None:
    """An empty window, and one with too little fraud, say what is wrong."""
    empty = TrainingSpec(source="simulated", from_ms=START_MS + 900 * DAY_MS)
    with pytest.raises(InvalidInput, match="no payment lies between"):
        train(rows, spec=empty, engine=ENGINE, out=tmp_path)
    short = TrainingSpec(source="simulated", until_ms=START_MS + 3 * DAY_MS)
    with pytest.raises(InvalidInput, match="take a longer window"):
        train(rows, spec=short, engine=ENGINE, out=tmp_path)


def test_files_of_scores_and_features_hold_the_window(rows: list[HistoryRow], tmp_path: Path) -> None:
    """Scores equal those of the features one by one, ids are the window's, types are text and float64."""
    window = Options(from_ms=START_MS + 10 * DAY_MS, until_ms=START_MS + 12 * DAY_MS)
    bundle = trained(rows, tmp_path / "model")
    scorer = open_scorer(tmp_path / "model")
    scores, features = tmp_path / "scores.parquet", tmp_path / "features.parquet"
    count = score_file(rows, bundle=bundle, engine=ENGINE, out=scores, options=window)
    assert feature_file(rows, engine=ENGINE, out=features, options=window) == count
    table, vectors = pl.read_parquet(scores), pl.read_parquet(features)
    assert table.schema == {"transaction_id": pl.String, "score": pl.Float64}
    times = [(row.transaction.transaction_id, row.transaction.timestamp_ms) for row in rows]
    expected = [name for name, at_ms in times if (window.from_ms or 0) <= at_ms < (window.until_ms or 0)]
    assert table["transaction_id"].to_list() == vectors["transaction_id"].to_list() == expected
    assert tuple(vectors.columns[1:]) == ENGINE.names
    assert table["score"].to_list() == [scorer.score(vector) for vector in vectors.drop("transaction_id").iter_rows()]


def test_the_bytes_do_not_hang_on_the_number_of_threads(sample: Sample, tmp_path: Path) -> None:
    """Two members on a share of the genuine payments, grown on one thread and on three, are the same files."""
    texts = []
    for threads in (1, 3):
        spec = TrainingSpec(source="simulated", trees_max=15, members=2, genuine_share=0.5, threads=threads)
        train_on_sample(sample, spec=spec, spec_hash="", out=tmp_path / str(threads))
        texts.append([(tmp_path / str(threads) / name).read_bytes() for name in ("model.txt", "bundle.json")])
    assert texts[0] == texts[1]


def test_the_trees_that_ship_grew_on_the_whole_window(sample: Sample, tmp_path: Path) -> None:
    """Other labels in the out-of-time slice make another model, but not another number of trees."""
    spec = TrainingSpec(source="simulated", trees_max=15)
    first = train_on_sample(sample, spec=spec, spec_hash="", out=tmp_path / "first").facts
    assert first.window is not None
    frauds = np.array(sample.frauds)
    frauds[np.asarray(sample.times_ms) >= first.window.slice_from_ms] ^= 1
    changed: dict[str, Any] = {"frauds": frauds}
    turned = train_on_sample(replace(sample, **changed), spec=spec, spec_hash="", out=tmp_path / "turned").facts
    assert turned.checksums["model.txt"] != first.checksums["model.txt"]
    assert turned.trees == first.trees


def test_a_line_that_makes_later_scores_worse_is_not_folded_in(sample: Sample, tmp_path: Path) -> None:
    """With hardly any fraud in the slice, a line learnt where there was more is left out."""
    spec, frauds = TrainingSpec(source="simulated", trees=15), np.array(sample.frauds)
    plain = train_on_sample(sample, spec=spec, spec_hash="", out=tmp_path / "plain").facts
    assert plain.window is not None
    later = np.flatnonzero(np.asarray(sample.times_ms) >= plain.window.slice_from_ms)
    frauds[later[frauds[later] == 1][FRAUDS_MIN:]] = 0
    changed: dict[str, Any] = {"frauds": frauds}
    facts = train_on_sample(replace(sample, **changed), spec=spec, spec_hash="", out=tmp_path / "fewer").facts
    assert facts.calibration is not None
    assert facts.metrics is not None
    assert facts.metrics.log_loss <= facts.calibration.log_loss_before + 1e-12


def test_frauds_that_counted_more_are_set_right_again(sample: Sample, tmp_path: Path) -> None:
    """With frauds at eight times their weight, the scores' mean stays near the share of fraud, and the line says so."""
    spec = TrainingSpec(source="simulated", trees=15, fraud_weight=8.0)
    bundle = train_on_sample(sample, spec=spec, spec_hash="", out=tmp_path)
    calibration, rows = bundle.facts.calibration, rows_of(sample)
    assert calibration is not None
    assert bundle.facts.metrics is not None
    assert bundle.facts.metrics.log_loss < calibration.log_loss_before
    assert 0.6 < batch_scores(bundle.model_text, rows.matrix).mean() / rows.frauds.mean() < 1.6
    assert "folded" in (tmp_path / "card.md").read_text()


def test_a_fixed_number_of_trees_is_kept_for_every_member(sample: Sample, tmp_path: Path) -> None:
    """Three members of seven trees are twenty-one."""
    spec = TrainingSpec(source="simulated", trees=7, members=3)
    assert train_on_sample(sample, spec=spec, spec_hash="", out=tmp_path).facts.trees == 21


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ({"genuine_share": 0.0}, "above 0 and at most 1"),
        ({"genuine_share": float("nan")}, "above 0 and at most 1"),
        ({"fraud_weight": 0.0}, "weight of frauds"),
        ({"trees": 0}, "at least one tree"),
        ({"members": 0}, "at least one tree"),
        ({"costs": Costs(wrong_challenge_minor=-1)}, "a cost"),
        ({"threads": -1}, "threads"),
        ({"seed": -1}, "seed"),
    ],
)
def test_an_option_out_of_its_range_is_one_clear_line(
    sample: Sample, tmp_path: Path, option: dict[str, object], complaint: str
) -> None:
    """Nothing is computed, and nothing written, for what cannot be meant."""
    spec = msgspec.structs.replace(TrainingSpec(source="simulated"), **option)
    with pytest.raises(InvalidInput, match=complaint) as raised:
        train_on_sample(sample, spec=spec, spec_hash="", out=tmp_path)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_model_learns_from_the_features_that_are_named(sample: Sample, tmp_path: Path) -> None:
    """In the order given; a name that is none, or stands twice, is one clear line."""
    names = ("amount_to_median", "amount", "place_unresolved")
    spec = TrainingSpec(source="test", features=names, trees=5)
    bundle = train_on_sample(sample, spec=spec, spec_hash="00", out=tmp_path)
    assert bundle.facts.feature_names == names
    for wrong, fault in ((("amount", "colour"), "colour is no feature"), (("amount", "amount"), "named twice")):
        with pytest.raises(InvalidInput, match=fault):
            train_on_sample(sample, spec=TrainingSpec(source="test", features=wrong), spec_hash="00", out=tmp_path)


def test_a_model_serves_with_the_label_delay_it_was_trained_with(rows: list[HistoryRow], tmp_path: Path) -> None:
    """Its features read labels as late as they did in training, and no other engine may serve it."""
    engine = default_engine(3 * 86_400)
    spec = TrainingSpec(source="test", label_delay_ms=3 * DAY_MS, trees=5)
    train(rows, spec=spec, engine=engine, out=tmp_path)
    assert open_scorer(tmp_path).spec_hash == engine.spec_hash
    with pytest.raises(BundleUnusable, match="feature definition"):
        open_scorer(tmp_path, engine=ENGINE)
