"""The training job of the image: a folder laid out as SageMaker does, in; a bundle that serves, or a line, out."""

import json
from pathlib import Path

import polars as pl
import pytest

from cardwatch.adapters.models import open_scorer
from cardwatch.domain.errors import InvalidInput
from cardwatch.entrypoints.sagemaker.__main__ import main
from cardwatch.entrypoints.sagemaker.training import read_hyperparameters
from cardwatch.learning.simulate.population import PopulationSpec, simulate_population
from cardwatch.models.bundle import CARD_FILE, FACTS_FILE, MODEL_FILE

pytestmark = pytest.mark.slow


def laid_out(root: Path, **hyperparameters: str) -> Path:
    """Lay out a job without its data; returns the folder of the channel."""
    config, channel = root / "input" / "config", root / "input" / "data" / "train"
    config.mkdir(parents=True)
    channel.mkdir(parents=True)
    ours = {name: name if name.startswith(("sagemaker_", "_")) else name.replace("_", "-") for name in hyperparameters}
    given = {ours[name]: value for name, value in hyperparameters.items()}
    (config / "hyperparameters.json").write_text(json.dumps(given), "utf-8")
    return channel


def failure(root: Path) -> str:
    """Return what the job says went wrong."""
    assert main(["train", "--root", str(root)]) == 1
    said: str = (root / "output" / "failure").read_text("utf-8")
    assert said.count("\n") == 1
    assert not (root / "model").exists()
    return said


@pytest.fixture(scope="module")
def payments() -> pl.DataFrame:
    """Return simulated payments in handbook columns."""
    spec = PopulationSpec(seed=2, accounts=200, days=50, incidents_per_thousand_account_days=8.0)
    rows = list(simulate_population(spec))
    return pl.DataFrame(
        {
            "TRANSACTION_ID": [row.transaction.transaction_id for row in rows],
            "TX_DATETIME": [row.transaction.timestamp_ms // 1000 for row in rows],
            "CUSTOMER_ID": [row.transaction.user_id for row in rows],
            "TERMINAL_ID": [row.transaction.merchant for row in rows],
            "TX_AMOUNT": [row.transaction.amount.minor / 100 for row in rows],
            "TX_FRAUD": [int(bool(row.is_fraud)) for row in rows],
        }
    )


def test_a_job_writes_a_bundle_that_serves(
    tmp_path: Path, payments: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing but the bundle lies in the folder that SageMaker packs, and the log has the measures in one line."""
    channel = laid_out(tmp_path, format="handbook", trees="5", seed="7", sagemaker_program="x", _tuning_objective="y")
    payments.write_parquet(channel / "payments.parquet")
    assert main(["train", "--root", str(tmp_path)]) == 0
    assert {path.name for path in (tmp_path / "model").iterdir()} == {MODEL_FILE, FACTS_FILE, CARD_FILE}
    facts = open_scorer(tmp_path / "model").bundle.facts
    assert (facts.trees, facts.seeds, facts.source) == (5, {"training": 7}, "payments.parquet (handbook).")
    assert "average_precision=0." in capsys.readouterr().err
    assert not (tmp_path / "output").exists()


def test_columns_of_ones_own_are_named_beside_the_file(tmp_path: Path, payments: pl.DataFrame) -> None:
    """A map in the channel instead of a format."""
    names = ("transaction_id", "timestamp", "user_id", "merchant", "amount", "label")
    channel = laid_out(tmp_path, trees="3")
    payments.rename({old: f"my_{new}" for old, new in zip(payments.columns, names, strict=True)}).write_csv(
        channel / "payments.csv"
    )
    (channel / "columns.json").write_text(json.dumps({name: f"my_{name}" for name in names}), "utf-8")
    assert main(["train", "--root", str(tmp_path)]) == 0
    assert open_scorer(tmp_path / "model").bundle.facts.trees == 3


def test_too_little_fraud_is_a_line(tmp_path: Path, payments: pl.DataFrame) -> None:
    """As the command line says it."""
    payments.head(400).write_parquet(laid_out(tmp_path, format="handbook") / "payments.parquet")
    assert "take a longer window" in failure(tmp_path)


@pytest.mark.parametrize("files", [(), ("a.csv", "b.parquet")])
def test_one_file_is_wanted(tmp_path: Path, files: tuple[str, ...]) -> None:
    """None, or several, is a line that counts them."""
    channel = laid_out(tmp_path)
    for name in files:
        (channel / name).touch()
    assert f"must hold one file of payments (.csv, .csv.gz, .parquet), it holds {len(files)}" in failure(tmp_path)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"format": "kaggle"}, "there is no format kaggle; known are cardwatch, handbook, sparkov"),
        ({"tree": "5"}, "Object contains unknown field `tree`"),
        ({"trees": "many"}, "Expected `int | null`, got `str`"),
        ({"from": "yesterday"}, "from must be an RFC 3339 date"),
        ({"label_delay": "soon"}, "--label-delay must be a number of days"),
        ({"members": "0"}, "at least one tree and one member"),
    ],
)
def test_a_hyperparameter_that_cannot_be_is_a_line(tmp_path: Path, given: dict[str, str], line: str) -> None:
    """It names which and what would do."""
    (laid_out(tmp_path, **given) / "payments.csv").write_text(
        "transaction_id,user_id,amount,merchant,timestamp\n", "utf-8"
    )
    assert line in failure(tmp_path)


def test_no_hyperparameters_are_the_defaults(tmp_path: Path) -> None:
    """SageMaker writes no file where none were given."""
    assert read_hyperparameters(tmp_path / "none.json").trees is None


def test_hyperparameters_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """SageMaker's are always text."""
    (tmp_path / "h.json").write_text('{"seed": 5}', "utf-8")
    with pytest.raises(InvalidInput, match="hyperparameters: Expected `str`"):
        read_hyperparameters(tmp_path / "h.json")


def test_whatever_happens_the_job_says_how_it_ended(tmp_path: Path) -> None:
    """A file that is no parquet at all."""
    (laid_out(tmp_path, format="handbook") / "payments.parquet").write_bytes(b"no parquet")
    assert failure(tmp_path)
