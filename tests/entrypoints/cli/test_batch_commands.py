"""`features` and `score` on the command line: from a file to a file, and errors in one line."""

from pathlib import Path

import polars as pl
import pytest

from cardwatch.entrypoints.cli.app import run
from cardwatch.features.engine import default_engine


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write forty days of payments, one row unusable; return the options that read them."""
    monkeypatch.setenv("CARDWATCH_DATA_DIR", str(tmp_path / "data"))
    path = tmp_path / "payments.csv"
    lines = ["TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD"]
    for number in range(1200):
        day, hour = divmod(number // 2, 15)
        at = f"2018-04-{day + 1:02d}" if day < 30 else f"2018-05-{day - 29:02d}"
        lines.append(
            f"{number},{at} {hour:02d}:00:00,{number % 7},{number % 11},{5 + number % 90}.50,{number % 5 == 0:d}"
        )
    lines.append("9999,2018-04-02 00:00:00,1,1,nothing,0")
    path.write_text("\n".join(lines) + "\n")
    return ["--data", str(path), "--format", "handbook"]


def test_a_file_becomes_features_and_scores_of_its_window(
    shared: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The window's rows are written in order; what was not used is said; no unfinished work stays."""
    features, model, scores = tmp_path / "features.parquet", tmp_path / "model", tmp_path / "scores.parquet"
    window = ["--from", "2018-05-01", "--until", "2018-05-05"]
    assert run(["features", *shared, *window, "--workers", "1", "--out", str(features)]) == 0
    printed = capsys.readouterr()
    assert "120 rows of features written" in printed.out
    assert "1 rows were not used; the first is row 1201: amount is not a number" in printed.err
    table = pl.read_parquet(features)
    assert table.columns == ["transaction_id", *default_engine().names]
    assert table["transaction_id"].to_list() == sorted(
        map(str, range(900, 1020)), key=lambda name: (int(name) // 2, name)
    )
    assert run(["train", *shared, "--trees", "5", "--out", str(model)]) == 0
    assert run(["score", *shared, *window, "--model", str(model), "--out", str(scores)]) == 0
    assert pl.read_parquet(scores)["transaction_id"].equals(table["transaction_id"])
    assert pl.read_parquet(scores)["score"].is_between(0, 1).all()
    assert list(tmp_path.glob("*.work")) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--from", "2030-01-01"], (1, "no payment lies between --from and --until")),
        (["--label-delay", "9999d"], (2, "--label-delay: the label delay must be from 0 to")),
        (["--out", "features.csv"], (2, "must end in .parquet")),
        (["--out", "nowhere/features.parquet"], (1, "nowhere/features.parquet: cannot be written")),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    shared: list[str], tmp_path: Path, options: list[str], expected: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Empty windows and outputs that cannot be are failures; delays that no label may have are wrong usage."""
    out = [] if "--out" in options else ["--out", str(tmp_path / "features.parquet")]
    assert run(["features", *shared, *out, *options]) == expected[0]
    printed = capsys.readouterr().err.replace("\n", " ")
    assert expected[1] in printed
    assert list(tmp_path.glob("*.work")) == []
