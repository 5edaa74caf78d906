"""moto's server: an emulator of many of AWS's services, to create and destroy what Terraform describes.

It stands in for the account when resources are made, never for the data: it loses conditional writes, runs no
functions, delivers no streams and enforces no permission. It is heavy, so it lives in an environment of its own
outside the repository, which uv makes at first use.
"""

import fcntl
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

VERSION = "5.2.5"
"""Pinned: which services accept what is part of what the tests say."""

REGION = "us-east-2"
ACCOUNT_ID = "123456789012"
"""moto's only account."""

_INSTALL_S_MAX = 600
_START_S_MAX = 90.0


class ToolMissing(Exception):
    """A tool cannot run here; says why."""


@dataclass(frozen=True)
class Moto:
    """A running server."""

    url: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What AWS tools have to find in their environment to talk to it, and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # What moto cannot do it cannot do at the tenth try either; the provider's own number takes minutes.
            "AWS_MAX_ATTEMPTS": "2",
        }


def tool_environment(name: str, requirement: str) -> Path:
    """Return the `bin` folder of an environment that holds a requirement, made if need be; raises ToolMissing.

    It is `~/.cache/cardwatch/NAME` (or below XDG_CACHE_HOME), shared by all test runs of this machine.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cardwatch"
    folder = base / name
    base.mkdir(parents=True, exist_ok=True)
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = folder / "holds"
        if not marker.exists() or marker.read_text("utf-8") != requirement:
            _install(folder, requirement)
            marker.write_text(requirement, "utf-8")
    return folder / "bin"


def _install(folder: Path, requirement: str) -> None:
    if importlib.util.find_spec("uv") is None:
        raise ToolMissing("uv is not installed beside the tests")
    uv = [sys.executable, "-m", "uv"]
    commands = [
        [*uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
        [*uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), requirement],
    ]
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_S_MAX)
    except (subprocess.SubprocessError, OSError) as error:
        raise ToolMissing(f"uv could not install {requirement} ({type(error).__name__})") from error


@contextmanager
def running_moto() -> Iterator[Moto]:
    """Run a server of one's own on 127.0.0.1; raises ToolMissing where it cannot be installed."""
    program = tool_environment("moto", f"moto[server]=={VERSION}") / "moto_server"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [str(program), "-H", "127.0.0.1", "-p", str(port)],
        # AWS's own policies are there in every account.
        env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true", "MOTO_ACCOUNT_ID": ACCOUNT_ID},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_port(process, port)
        yield Moto(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait(10)


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_S_MAX
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"moto did not start (exit code {process.poll()})")
