"""`cardwatch model` imports only what is trusted, lists what is there, and marks what serves."""

import json
import pickle
from pathlib import Path

import pytest

from cardwatch.entrypoints.cli.app import run
from tests.support.bundles import train_booster


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, whatever the environment says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CARDWATCH_MODEL", raising=False)
    monkeypatch.delenv("CARDWATCH_DATA_DIR", raising=False)


def write(names: tuple[str, ...]) -> str:
    """Write an artifact into the current folder."""
    content = {"model": train_booster(names, rows=300), "threshold": 0.4, "feature_names": list(names)}
    Path("model.pkl").write_bytes(pickle.dumps(content))
    return "model.pkl"


def test_nothing_is_unpickled_without_trust(capfd: pytest.CaptureFixture[str]) -> None:
    """One line says what unpickling does and how to go on; the file's code has not run."""

    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path("owned").mkdir, ())

    Path("model.pkl").write_bytes(pickle.dumps(Hostile()))
    assert run(["model", "import", "model.pkl"]) == 1
    said = capfd.readouterr().err
    assert "runs code of whoever made the file" in said
    assert "--trust-pickle" in said
    assert not Path("owned").exists()


def test_an_imported_model_is_listed_shown_and_can_serve(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how to serve with it, and is marked as soon as it does."""
    assert run(["model", "import", write(("amt", "hour")), "--trust-pickle", "--json"]) == 0
    made = json.loads(capfd.readouterr().out)
    assert made["serve"].startswith("CARDWATCH_MODEL=")
    monkeypatch.setenv("CARDWATCH_MODEL", made["facts"]["model_version"])
    assert run(["model", "list", "--json"]) == 0
    listed = {model["name"]: model for model in json.loads(capfd.readouterr().out)}
    assert {name: model["active"] for name, model in listed.items()} == {
        "default": False,
        made["facts"]["model_version"]: True,
    }
    assert run(["model", "list"]) == 0
    assert "not known" in capfd.readouterr().out
    assert run(["model", "show", made["facts"]["model_version"]]) == 0
    assert "not known: imported" in capfd.readouterr().out


def test_features_without_a_place_are_listed_and_nothing_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    """All of them, as a table and as JSON; exit code 1."""
    arguments = ["model", "import", write(("amt", "category", "age")), "--trust-pickle"]
    assert run(arguments) == 1
    said = capfd.readouterr()
    assert "2 of its features cannot be mapped to ours: category, age; nothing was written" in said.err
    assert "a code whose numbers only its own training knew" in said.out
    assert run([*arguments, "--json"]) == 1
    assert [one["name"] for one in json.loads(capfd.readouterr().out)["unmapped"]] == ["category", "age"]
    assert [path.name for path in Path().iterdir()] == ["model.pkl"]
