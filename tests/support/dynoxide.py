"""dynoxide: an emulator of DynamoDB with conditional writes, transactions and streams, as a process of its own.

One binary, taken once with `npm pack` into a folder outside the repository and checked against a pinned hash. It binds
to 127.0.0.1. `CARDWATCH_TEST_DYNAMODB_ENDPOINT` names another endpoint (an emulator's) to run the tests against.
"""

import atexit
import base64
import fcntl
import hashlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

from cardwatch.adapters.dynamodb import Clients, Endpoint, TableNames, open_clients

PACKAGE = "@dynoxide/linux-x64"
VERSION = "1.2.1"
INTEGRITY = "sha512-sBHqlxJ9ANkLluFkYRfd5r8Y0ApFew4FhOrlhgRAgD4XzEoFOukEo1nuBTQ1+jTtofqwn4NWQ2k0Tn5mNTjgUg=="
"""Of the package's archive, as npm publishes it."""

ENDPOINT_VARIABLE = "CARDWATCH_TEST_DYNAMODB_ENDPOINT"
REGION = "us-east-2"

_PACK_S_MAX = 120
_START_S_MAX = 20.0


class DynoxideMissing(Exception):
    """dynoxide cannot run here; says why."""


def dynoxide_binary(*, cache: Path | None = None) -> Path:
    """Return the emulator's binary, fetched and checked first if need be; raises DynoxideMissing."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise DynoxideMissing("the emulator's package is for Linux on x86-64")
    base = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cardwatch"
    folder = base / f"dynoxide-{VERSION}"
    binary = folder / "dynoxide"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            _fetch(folder, binary)
    return binary


def _fetch(folder: Path, binary: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise DynoxideMissing("npm is not installed")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder), "--silent"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_PACK_S_MAX, cwd=folder)
    except (subprocess.SubprocessError, OSError) as error:
        raise DynoxideMissing(f"npm could not fetch {PACKAGE}@{VERSION} ({type(error).__name__})") from error
    archive = next(folder.glob("*.tgz"))
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        archive.unlink()
        raise DynoxideMissing(f"{PACKAGE}@{VERSION} is not the archive that was pinned")
    part = folder / "dynoxide.part"
    with tarfile.open(archive) as tar, part.open("wb") as out:
        member = tar.extractfile("package/dynoxide")
        assert member is not None
        shutil.copyfileobj(member, out)
    part.chmod(0o755)
    part.rename(binary)
    archive.unlink()


class Dynoxide:
    """One emulator: on a file, or in memory without one. It may be killed and started again."""

    def __init__(self, file: Path | None = None) -> None:
        self._binary = dynoxide_binary()
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start it on a free port and wait until it takes connections."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [str(self._binary), "serve", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--db-path", str(self._file)] if self._file else []
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _START_S_MAX
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"dynoxide did not start (exit code {self._process.poll()})")

    def kill(self) -> None:
        """Kill it (SIGKILL), as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


@contextmanager
def running_dynoxide(file: Path | None = None) -> Iterator[Dynoxide]:
    """Run an emulator; raises DynoxideMissing where it cannot be."""
    emulator = Dynoxide(file)
    try:
        emulator.start()
        yield emulator
    finally:
        emulator.kill()


@contextmanager
def dynamodb_url() -> Iterator[str]:
    """Yield an endpoint to test against: the one that the environment names, else an emulator's in memory."""
    named = os.environ.get(ENDPOINT_VARIABLE)
    if named:
        yield named
        return
    with running_dynoxide() as emulator:
        yield emulator.url


def clients_of(url: str) -> Clients:
    """Return clients for an emulator, with credentials that no account has."""
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "emulator")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "emulator")
    return open_clients(Endpoint(region=REGION, url=url))


@cache
def session_url() -> str:
    """Return the endpoint of this test session; its emulator ends with the process. Raises DynoxideMissing."""
    stack = ExitStack()
    url = stack.enter_context(dynamodb_url())
    atexit.register(stack.close)
    return url


@cache
def session_clients() -> Clients:
    """Return clients of this test session's endpoint; raises DynoxideMissing."""
    return clients_of(session_url())


def fresh_names() -> TableNames:
    """Return names of tables that no other test has."""
    prefix = f"t{os.getpid()}-{next(_numbers)}-FraudDetection"
    return TableNames(f"{prefix}-Transactions", f"{prefix}-Accounts", f"{prefix}-States", f"{prefix}-Conversations")


_numbers = count(1)
