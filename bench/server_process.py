"""A real server process on a folder of its own: started, watched, stopped politely or killed, for benchmarks and tests.

It listens on the loopback interface only, sees no setting of the shell it is started from, and writes what it says to
one file.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

START_S_MAX = 60.0
STOP_S_MAX = 30.0

_HOST = "127.0.0.1"
_POLL_S = 0.01
_OWN_PREFIXES = ("CARDWATCH_", "TWILIO_", "FRAUD_")
_SERVE = ("-m", "cardwatch", "serve")
_ROOT = Path(__file__).resolve().parents[1]


class ServerProcess:
    """One server; a context manager that stops it."""

    def __init__(
        self,
        data_dir: Path,
        *,
        log: Path,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = _SERVE,
    ) -> None:
        """Choose folder, log and port; `command` is what follows the interpreter. Nothing runs yet."""
        self.data_dir = data_dir
        self.log = log
        self.port = port or free_port()
        self.start_s = 0.0
        """How long the last start took until it was ready."""
        self._environment = clean_environment() | dict(environment or {})
        self._command = [sys.executable, *command, "--data-dir", str(data_dir), "--port", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the running process."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the process without waiting for it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log, cwd=_ROOT)
        self.start_s = time.perf_counter()

    def wait_ready(self) -> None:
        """Wait until /readyz answers 200; raises RuntimeError if the process ends or takes too long."""
        began = self.start_s
        while time.perf_counter() - began < START_S_MAX:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the server ended at its start: {self.last_words()}")
            if self.get("/readyz") is not None:
                self.start_s = time.perf_counter() - began
                return
            time.sleep(_POLL_S)
        raise RuntimeError(f"the server was not ready after {START_S_MAX:.0f} s: {self.last_words()}")

    def get(self, path: str) -> bytes | None:
        """Return the body of a GET that is answered with 200, else None."""
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if answer.status == 200 else None

    def kill(self) -> None:
        """End exactly this process by SIGKILL, at once."""
        os.kill(self.pid, signal.SIGKILL)
        self._forget()

    def stop(self) -> None:
        """Ask the process to end and wait for it; kills it if it does not. Does nothing if it is not running."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
        self._process = None

    def cpu_s(self) -> float:
        """Return the CPU time that the process has used, of all its threads, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self, *, peak: bool = False) -> float:
        """Return the resident memory of the process, now or at its highest, in MB (10^6 bytes)."""
        wanted = "VmHWM:" if peak else "VmRSS:"
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(wanted)) * 1024 / 1e6

    def last_words(self) -> str:
        """Return the end of the log."""
        return self.log.read_text(errors="replace")[-600:].strip() if self.log.exists() else ""


def clean_environment() -> dict[str, str]:
    """Return this process's environment without any setting of Cardwatch's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OWN_PREFIXES)}


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port
