"""A real server process, shared by the tests that speak real HTTP to it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

API_KEY = "ops:a-secret-for-these-tests"
_START_S = 30


class Server(NamedTuple):
    """Where a server listens, and where it keeps its data and its log."""

    url: str
    data_dir: Path
    log: Path

    def client(self) -> httpx.Client:
        """Return a client that knows no key and follows nothing."""
        return httpx.Client(base_url=self.url, timeout=10, trust_env=False)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_ready(server: Server, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server says that it is warm."""
    deadline = time.monotonic() + _START_S
    with server.client() as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    pytest.fail(f"the server did not start: {server.log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server with one API key that logs everything."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    running = Server(f"http://127.0.0.1:{port}", folder / "data", folder / "log.jsonl")
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CARDWATCH_", "TWILIO_", "FRAUD_"))
        },
        "CARDWATCH_LOG_LEVEL": "debug",
        "CARDWATCH_API_KEYS": API_KEY,
    }
    command = [sys.executable, "-m", "cardwatch", "serve", "--port", str(port), "--data-dir", str(running.data_dir)]
    with running.log.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:
        try:
            await_ready(running, process)
            yield running
        finally:
            process.terminate()
            process.wait(timeout=20)
