"""`train` and `evaluate` on the command line: the loop from a file to a report, and its errors in one line."""

import csv
import json
import random
from pathlib import Path

import pytest

from cardwatch.domain.errors import InvalidInput
from cardwatch.entrypoints.cli.app import run
from cardwatch.entrypoints.cli.costs import costs_from
from cardwatch.models.bundle import Costs


@pytest.fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small file in the handbook's format, in which large amounts are fraud, with one bad row."""
    path, draw = tmp_path_factory.mktemp("data") / "payments.csv", random.Random(3)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"])
        for number in range(3000):
            fraud = draw.random() < 0.06
            amount = draw.uniform(150, 400) if fraud else draw.uniform(5, 180)
            at = f"2018-04-{1 + number // 150:02d} {number % 150 // 7:02d}:{number % 60:02d}:00"
            writer.writerow([number, at, draw.randrange(60), draw.randrange(30), f"{amount:.2f}", int(fraud)])
        writer.writerow([3000, "2018-04-20 23:00:00", 1, 1, "nothing", 0])
    return path


def test_a_file_becomes_a_model_and_the_model_a_report(
    payments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Costs and the number of trees are taken; the report is written, and numbers printed for people and machines."""
    monkeypatch.setenv("CARDWATCH_DATA_DIR", str(tmp_path))
    model, report = tmp_path / "model", tmp_path / "report.html"
    shared = ["--data", str(payments), "--format", "handbook"]
    options = ["--trees", "10", "--genuine-share", "0.5", "--cost-wrong-challenge", "7.50", "--threads", "1"]
    assert run(["train", *shared, "--until", "2018-04-15", "--out", str(model), *options, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["trees"], facts["costs"]["wrong_challenge_minor"]) == (10, 750)
    command = ["evaluate", *shared, "--from", "2018-04-15", "--model", str(model), "--out", str(report)]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data"]["payments"] == 900
    assert found["data"]["rejected"] == 1
    assert found["costs"]["wrong_challenge_minor"] == 750
    assert found["roc_auc"]["value"] > 0.8
    assert report.read_text().startswith("<!doctype html>")
    assert run([*command, "--cost-text", "0"]) == 0
    assert "Average precision" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--out", "report.pdf"], "must end in .html"),
        (["--out", "report.html", "--cost-text", "-1"], "--cost-text must be an amount"),
        (["--out", "report.html", "--cost-wrong-challenge", "0.001"], "--cost-wrong-challenge must be an amount"),
        (["--out", "report.html", "--label-delay", "soon"], "--label-delay must be"),
    ],
)
def test_what_evaluate_cannot_take_is_one_line(
    payments: Path, options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the option; the exit code says that it was used wrongly."""
    assert run(["evaluate", "--data", str(payments), "--format", "handbook", *options]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert len(error.strip().splitlines()) == 1


def test_a_model_that_is_not_there_is_one_line(payments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line names it and those that are there; the exit code says that it failed."""
    options = ["--out", "report.html", "--model", "/nowhere"]
    assert run(["evaluate", "--data", str(payments), "--format", "handbook", *options]) == 1
    assert capsys.readouterr().err.strip() == "error: there is no model /nowhere; known are default"


def test_costs_are_hundredths_and_may_be_nothing() -> None:
    """What is not given stays; what is no amount is refused."""
    assert costs_from("12.5", None, otherwise=Costs(1, 2)) == Costs(1250, 2)
    assert costs_from(None, "0", otherwise=Costs(1, 2)) == Costs(1, 0)
    for text in ("much", "NaN", "1e30", "-0.01"):
        with pytest.raises(InvalidInput, match="--cost-wrong-challenge"):
            costs_from(text, None, otherwise=Costs())
