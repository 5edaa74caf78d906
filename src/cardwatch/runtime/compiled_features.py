"""Brings features to machine code: from the data folder where it lies ready, else by a process beside the server.

Nobody waits for it: payments are served interpreted until the machine code is there, and get the same bits either way.
Whatever fails is one line in the log.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from cardwatch.features.compiled import numba_installed
from cardwatch.features.compiled_engine import CompiledEngine
from cardwatch.features.engine import FeatureEngine, default_engine
from cardwatch.features.machine_code import MachineCodeUnusable, file_name, load
from cardwatch.features.spec import LABEL_DELAY_S
from cardwatch.runtime.settings import Settings

DELAY_S = 30.0
"""How long a server serves before it compiles, so that its first payments have the machine to themselves."""

COMPILE_S_MAX = 600.0
"""Half a minute of processor time, of which a busy machine gives little to what stands last in line."""

_COMMAND = ("-m", "cardwatch.runtime.compile_features")
_SAID_MAX = 200

_log = structlog.get_logger(__name__)


def open_engine(settings: Settings, *, label_delay_s: int = LABEL_DELAY_S) -> FeatureEngine:
    """Return an engine for these settings, compiled already where machine code lies ready."""
    if why_never_compiled(settings):
        return default_engine(label_delay_s)
    engine = CompiledEngine(label_delay_s=label_delay_s)
    go_over(engine, settings.compiled_folder)
    return engine


def why_never_compiled(settings: Settings) -> str:
    """Return why features stay interpreted under these settings, nothing where they may be compiled."""
    if settings.compiled_features == "off":
        return "CARDWATCH_COMPILED_FEATURES is off"
    return "" if numba_installed() else "numba is not installed"


def go_over(engine: CompiledEngine, folder: Path) -> str:
    """Let an engine go over to the machine code in a folder; returns why it did not, else nothing."""
    if not folder.is_dir():
        return "a server compiles them once it has run a while"
    try:
        path = folder / file_name(engine)
        if not path.exists():
            return "a server compiles them once it has run a while"
        engine.go_over(load(path))
    except MachineCodeUnusable as error:
        return str(error)
    return ""


def how_features_run(settings: Settings, *, label_delay_s: int = LABEL_DELAY_S) -> str:
    """Return "compiled", or "interpreted" and why."""
    why = why_never_compiled(settings)
    why = why or go_over(CompiledEngine(label_delay_s=label_delay_s), settings.compiled_folder)
    return f"interpreted ({why})" if why else "compiled"


class FeatureCompiler:
    """Compiles the features of a running server that has no machine code yet."""

    def __init__(
        self,
        engine: FeatureEngine,
        settings: Settings,
        *,
        command: Sequence[str] = _COMMAND,
        delay_s: float = DELAY_S,
        compile_s_max: float = COMPILE_S_MAX,
    ) -> None:
        """Take the engine that serves; `command` is what follows the interpreter."""
        self._engine = engine
        self._settings = settings
        self._command = command
        self._delay_s = delay_s
        self._compile_s_max = compile_s_max

    def start(self) -> Sequence[asyncio.Task[None]]:
        """Say how features run, and start what changes that; cancel it to stop, which ends the other process too."""
        engine = self._engine
        if not isinstance(engine, CompiledEngine):
            _log.info("features", run="interpreted", why=why_never_compiled(self._settings))
            return []
        if engine.compiled:
            _log.info("features", run="compiled")
            return []
        _log.info("features", run="interpreted", why="not compiled yet")
        return [asyncio.create_task(self._compile(engine))]

    async def _compile(self, engine: CompiledEngine) -> None:
        await asyncio.sleep(self._delay_s)
        folder = self._settings.compiled_folder
        try:
            why = await self._in_other_process(folder, engine.label_delay_s)
            why = why or await asyncio.to_thread(go_over, engine, folder)
        except OSError as error:
            why = type(error).__name__
        if why:
            _log.warning("features", run="interpreted", why=why)
        else:
            _log.info("features", run="compiled")

    async def _in_other_process(self, folder: Path, label_delay_s: int) -> str:
        """Fill the folder; returns why that failed, else nothing."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *self._command, str(folder), str(label_delay_s), stdin=PIPE, stdout=DEVNULL, stderr=PIPE
        )
        try:
            async with asyncio.timeout(self._compile_s_max):
                said = await process.stderr.read() if process.stderr else b""
                code = await process.wait()
        except TimeoutError:
            return f"compiling took longer than {self._compile_s_max:.0f} s"
        finally:
            await _end(process)
        last = said.decode(errors="replace").strip().rpartition("\n")[2][:_SAID_MAX]
        return f"compiling ended with {code}: {last}" if code else ""


async def _end(process: Process) -> None:
    """Kill a process that still runs, and let go of its pipes."""
    with suppress(ProcessLookupError):
        process.kill()
    if process.stdin:
        process.stdin.close()
    await asyncio.shield(process.wait())
