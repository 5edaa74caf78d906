"""The guide's training script works as printed: on the simulator by default, and on a file of one's own."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import polars as pl

from cardwatch.adapters.models import open_scorer
from cardwatch.learning.simulate.population import PopulationSpec, simulate_population

SCRIPT = Path(__file__).parents[2] / "lambdas" / "score" / "prepare_data.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a user does."""
    environment = {**os.environ, "COLUMNS": "200"}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_it_trains_on_the_simulator_by_default(tmp_path: Path) -> None:
    """Without data it simulates, trains, and says where the bundle is."""
    done = run("--accounts", "350", "--out", str(tmp_path / "model"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(tmp_path / "model") in done.stdout
    assert open_scorer(tmp_path / "model").bundle.facts.trees >= 1


def test_it_trains_on_a_file_and_counts_bad_rows(tmp_path: Path) -> None:
    """A file in handbook columns is enough; its bad row is told."""
    spec = PopulationSpec(seed=2, accounts=200, days=50, incidents_per_thousand_account_days=8.0)
    rows = list(simulate_population(spec))
    table = pl.DataFrame(
        {
            "TRANSACTION_ID": [row.transaction.transaction_id for row in rows],
            "TX_DATETIME": [row.transaction.timestamp_ms // 1000 for row in rows],
            "CUSTOMER_ID": [row.transaction.user_id for row in rows],
            "TERMINAL_ID": [row.transaction.merchant for row in rows],
            "TX_AMOUNT": [row.transaction.amount.minor / 100 for row in rows[:-1]] + [-1.0],
            "TX_FRAUD": [int(bool(row.is_fraud)) for row in rows],
        }
    )
    table.write_parquet(tmp_path / "payments.parquet")
    done = run("--data", str(tmp_path / "payments.parquet"), "--format", "handbook", "--out", str(tmp_path / "model"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rows were not used" in done.stdout
    assert open_scorer(tmp_path / "model").bundle.facts.source.endswith("(handbook).")


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    """A missing file ends with 1 and a sentence, an unknown format with 2, neither with a traceback."""
    missing = run("--data", str(tmp_path / "none.csv"))
    assert missing.returncode == 1
    assert "there is no such file" in missing.stdout
    wrong = run("--format", "kaggle")
    assert wrong.returncode == 2
    assert "Traceback" not in missing.stderr + wrong.stderr


def test_it_runs_from_a_checkout_without_the_package_installed() -> None:
    """With the libraries alone on the path, and the package nowhere, the script finds `src` by itself."""
    libraries = str(Path(msgspec.__file__).parents[1])
    command = [sys.executable, "-S", str(SCRIPT), "--help"]  # -S leaves out what the editable install put on the path
    environment = {**os.environ, "PYTHONPATH": libraries}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "--format" in done.stdout
