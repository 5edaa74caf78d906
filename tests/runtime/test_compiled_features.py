"""A server goes over to machine code by itself, and whatever fails on the way leaves it serving interpreted."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from cardwatch.features.compiled import numba_installed
from cardwatch.features.compiled_engine import CompiledEngine
from cardwatch.features.engine import default_engine
from cardwatch.features.machine_code import file_name, make
from cardwatch.runtime import compiled_features
from cardwatch.runtime.compiled_features import FeatureCompiler, how_features_run, open_engine
from cardwatch.runtime.settings import Settings, read_settings

pytestmark = pytest.mark.skipif(not numba_installed(), reason="numba is not installed")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a folder that holds nothing yet."""
    return read_settings({}, data_dir=tmp_path)


@pytest.fixture(scope="session")
def code_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Machine code of the table, made once and kept from run to run."""
    folder = tmp_path_factory.getbasetemp().parent / "cardwatch-compiled"
    path = folder / file_name(default_engine())
    return path if path.exists() else make(default_engine(), folder)


def copying(code_file: Path) -> tuple[str, ...]:
    """A compiler that is done at once."""
    copy = f"to = Path(sys.argv[1]); to.mkdir(); shutil.copy({str(code_file)!r}, to)"
    return ("-c", f"import shutil, sys; from pathlib import Path; {copy}")


def served(compiler: FeatureCompiler, *, cancel_after_s: float | None = None) -> list[Any]:
    """Run a compiler until it is done, or is cancelled; returns what was logged."""

    async def run() -> None:
        tasks = compiler.start()
        if cancel_after_s is not None:
            await asyncio.sleep(cancel_after_s)
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with structlog.testing.capture_logs() as logs:
        asyncio.run(run())
    return logs


@pytest.mark.timeout(300)
def test_a_server_compiles_then_goes_over(settings: Settings, code_file: Path) -> None:
    """It begins interpreted, and the next start is compiled from the first payment on."""
    engine = open_engine(settings)
    assert isinstance(engine, CompiledEngine)
    assert not engine.compiled
    logs = served(FeatureCompiler(engine, settings, command=copying(code_file), delay_s=0))
    assert [line["run"] for line in logs] == ["interpreted", "compiled"]
    assert engine.compiled
    again = open_engine(settings)
    assert isinstance(again, CompiledEngine)
    assert again.compiled
    assert how_features_run(settings) == "compiled"
    assert [line["run"] for line in served(FeatureCompiler(again, settings))] == ["compiled"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import sys; sys.exit('no luck')", "no luck"),
        ("", "a server compiles them once it has run a while"),
        ("import time; time.sleep(60)", "longer than"),
    ],
)
def test_what_cannot_be_compiled_is_served_interpreted(settings: Settings, text: str, why: str) -> None:
    """A compiler that fails, makes nothing, or never ends costs one line in the log."""
    engine = open_engine(settings)
    logs = served(FeatureCompiler(engine, settings, command=("-c", text), delay_s=0, compile_s_max=2))
    assert [line["run"] for line in logs] == ["interpreted", "interpreted"]
    assert why in logs[1]["why"]
    assert isinstance(engine, CompiledEngine)
    assert not engine.compiled


@pytest.mark.timeout(300)
def test_damaged_machine_code_is_compiled_anew(settings: Settings, code_file: Path) -> None:
    """A file that was cut short is not run, and the next compilation takes its place."""
    settings.compiled_folder.mkdir()
    (settings.compiled_folder / code_file.name).write_bytes(code_file.read_bytes()[:-9])
    assert how_features_run(settings).startswith("interpreted (")
    engine = open_engine(settings)
    assert isinstance(engine, CompiledEngine)
    assert not engine.compiled


def test_stopping_ends_the_other_process(settings: Settings, tmp_path: Path) -> None:
    """A server that stops leaves nothing running."""
    told = tmp_path / "pid"
    text = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    served(FeatureCompiler(open_engine(settings), settings, command=("-c", text), delay_s=0), cancel_after_s=2)
    assert not Path(f"/proc/{told.read_text()}").exists()


def test_the_other_process_ends_with_a_killed_server(tmp_path: Path) -> None:
    """Its standard input ends when the server does."""
    command = [sys.executable, *compiled_features._COMMAND, str(tmp_path), "604800"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert ended.returncode == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_other_process_compiles(settings: Settings) -> None:
    """The real one, which takes half a minute."""
    engine = open_engine(settings)
    logs = served(FeatureCompiler(engine, settings, delay_s=0))
    assert [line["run"] for line in logs] == ["interpreted", "compiled"]
    assert [path.suffix for path in settings.compiled_folder.iterdir()] == [".bin"]


def test_off_means_interpreted(tmp_path: Path) -> None:
    """And says so."""
    settings = read_settings({"CARDWATCH_COMPILED_FEATURES": "off"}, data_dir=tmp_path)
    engine = open_engine(settings)
    assert not isinstance(engine, CompiledEngine)
    logs = served(FeatureCompiler(engine, settings))
    assert logs == [
        {"event": "features", "log_level": "info", "run": "interpreted", "why": "CARDWATCH_COMPILED_FEATURES is off"}
    ]
    assert how_features_run(settings) == "interpreted (CARDWATCH_COMPILED_FEATURES is off)"


def test_without_numba_features_are_interpreted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has only what every installation has."""
    monkeypatch.setattr(compiled_features, "numba_installed", lambda: False)
    assert not isinstance(open_engine(settings), CompiledEngine)
    assert how_features_run(settings) == "interpreted (numba is not installed)"
