"""A real `cardwatch serve` process on a data folder of its own, ended by its own id."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cardwatch.entrypoints.cli.client import Client

START_S = 30.0
STOP_S = 15.0

_URL = re.compile(r"on (http://\S+)")


class ServerProcess:
    """A running server; `url` is where it answers, `log` what it wrote."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str] | None = None, *, port: int = 0) -> None:
        self.data_dir = data_dir
        self.log = data_dir / "server.log"
        data_dir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cardwatch", "serve", "--data-dir", str(data_dir), "--port", str(port)],
                stdout=log,
                stderr=log,
                env=clean_environment(environment),
            )
        try:
            self.url = self._await_url()
            self.client = Client(self.url)
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> int:
        """End the process in good order; returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(STOP_S)

    def kill(self) -> None:
        """End the process as a crash would."""
        self.process.kill()
        self.process.wait(STOP_S)

    def _await_url(self) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            found = _URL.findall(self.log.read_text("utf-8", "replace"))
            if found:
                return str(found[-1])
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the server did not start: {self.log.read_text('utf-8', 'replace')}")

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while self.client.call("GET", "/readyz")[0] != 200:
            assert time.monotonic() < deadline, "the server did not become ready"
            time.sleep(0.02)


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without settings of Cardwatch that the machine may have."""
    foreign = ("CARDWATCH_", "TWILIO_", "FRAUD_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **(more or {})}


@contextmanager
def running_server(data_dir: Path, environment: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """Serve for the length of a block."""
    server = ServerProcess(data_dir, environment)
    try:
        yield server
    finally:
        server.client.close()
        server.stop()
