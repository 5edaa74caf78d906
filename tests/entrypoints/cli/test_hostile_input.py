"""What files and names hold reaches the terminal as text, and what cannot be done is said before it is tried."""

import json
from pathlib import Path

import pytest

from cardwatch.entrypoints.cli.app import run

_MARKUP = "[bold]x[/nope]"


@pytest.fixture
def payments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a few payments whose id, account and merchant look like the terminal's markup, as does the folder."""
    folder = tmp_path / "[red]" / "[" / "nope]"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CARDWATCH_DATA_DIR", str(folder / "data"))
    path = folder / "payments.csv"
    lines = ["transaction_id,user_id,amount,merchant,timestamp,label"]
    lines += [f"{n}{_MARKUP},{_MARKUP},5.50,{_MARKUP},2018-04-01 00:00:0{n},0" for n in range(5)]
    path.write_text("\n".join([*lines, "9,u,nothing,m,2018-04-01 00:00:00,0"]) + "\n")
    return path


def test_markup_in_data_and_paths_is_shown_as_it_is(payments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither lists nor messages take it for markup, and none fails over a tag that nothing opened."""
    shared = ["--data", str(payments), "--format", "cardwatch"]
    folder = payments.parent
    for arguments, expected in (
        (["import", *shared, "--rejects", str(folder / "rejects.csv")], "rejects.csv"),
        (["transactions", "list"], _MARKUP),
        (["transactions", "show", f"1{_MARKUP}"], _MARKUP),
        (["accounts", "list"], _MARKUP),
        (["accounts", "show", _MARKUP], _MARKUP),
        (["accounts", "release", _MARKUP], _MARKUP),
        (["accounts", "erase", _MARKUP, "--yes"], _MARKUP),
        (["export", "--out", str(folder / "out.csv")], str(folder)),
        (["features", *shared, "--out", str(folder / "out.parquet")], str(folder)),
        (["score", *shared, "--out", str(folder / "scores.parquet")], str(folder)),
    ):
        assert run(arguments) == 0, arguments
        assert expected in capsys.readouterr().out


def test_batch_commands_answer_in_json(payments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many payments, and where they are."""
    for command in ("features", "score"):
        out = payments.with_name(f"{command}.parquet")
        assert run([command, "--data", str(payments), "--format", "cardwatch", "--out", str(out), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"payments": 5, "file": str(out)}


def test_an_error_holds_nothing_that_moves_the_cursor(payments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes of a file that is no table are not sent to the terminal; without one, the error is all there is."""
    payments.write_bytes(b"\x1b[2J\x07,\xe2\x80\xaeb[/nope]\n1,2\n")
    assert run(["features", "--data", str(payments), "--format", "cardwatch", "--out", "x.parquet"]) == 1
    error = capsys.readouterr().err
    assert "transaction_id is missing" in error
    assert error.strip("\n").isprintable()
    assert error.count("\n") == 1


def test_what_is_not_written_leaves_what_was_there(payments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export that stops keeps the earlier one, and leaves no half of a new one."""
    assert run(["import", "--data", str(payments), "--format", "cardwatch"]) == 0
    out = payments.with_name("out.csv")
    assert run(["export", "--out", str(out)]) == 0
    before = out.read_bytes()

    def interrupted(_: object) -> object:
        yield ("half",)
        raise KeyboardInterrupt

    monkeypatch.setattr("cardwatch.entrypoints.cli.history.export_rows", interrupted)
    assert run(["export", "--out", str(out)]) == 130
    assert out.read_bytes() == before
    assert list(payments.parent.glob("*.new")) == []


def test_another_label_delay_is_named(payments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model whose features read labels of another age is not said to be out of date."""
    shared = ["--data", str(payments), "--format", "cardwatch", "--label-delay", "36h"]
    for command, out in (("score", "x.parquet"), ("evaluate", "x.html")):
        assert run([command, *shared, "--out", out]) == 2
        assert "trained with --label-delay 7d, not 36h: give --label-delay 7d" in capsys.readouterr().err


def test_unknown_features_and_outputs_that_cannot_be_are_refused_before_anything_is_read(
    payments: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A replay may take hours; nothing of it is done for a name that is wrong."""
    shared = ["--data", str(payments), "--format", "cardwatch"]
    Path("names.txt").write_text("amount\nnosuch\n")
    Path("folder.html").mkdir()
    assert run(["train", *shared, "--out", "model", "--features", "names.txt"]) == 1
    assert run(["evaluate", *shared, "--out", "folder.html"]) == 1
    error = capsys.readouterr().err
    assert "nosuch is no feature" in error
    assert "folder.html: cannot be written" in error
    assert "rows were not used" not in error
