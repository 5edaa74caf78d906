"""The server of our SageMaker image as a process; AWS's runtime client can be pointed at it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

START_S = 30.0


@contextmanager
def running_container(model: Path, *, root: Path) -> Iterator[str]:
    """Run the image's server on a bundle, laid out under `root` as SageMaker does; gives its URL once it loaded."""
    (root / "model").symlink_to(model)
    port = free_port()
    command = [sys.executable, "-m", "cardwatch.entrypoints.sagemaker", "serve", "--root", str(root)]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        await_status(url, 200)
        yield url
    finally:
        process.terminate()
        process.wait(15)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_status(url: str, status: int) -> None:
    """Wait until /ping answers with a status."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/ping", timeout=2).status_code == status:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"/ping never answered {status}")
