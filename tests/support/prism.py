"""Prism: Stoplight's server that checks requests against an OpenAPI description, as an independent judge of ours.

It is installed once with npm into a folder outside the repository, and runs behind a small forwarding server that
keeps what Prism found wrong with each request, whatever it then answers (header `sl-violations`).
"""

import fcntl
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "5.14.2"
"""Of @stoplight/prism-cli: pinned, since its checks are part of what the tests say."""

_INSTALL_S_MAX = 300
_START_S_MAX = 90.0
"""It starts in 11 to 14 s on two idle cores."""
_HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


class PrismMissing(Exception):
    """Prism cannot run here; says why."""


@dataclass(frozen=True)
class Judged:
    """One request as Prism judged it."""

    method: str
    path: str
    status: int
    violations: tuple[str, ...]
    """What is wrong with the request: where, and why."""


@dataclass
class Prism:
    """A running Prism behind its forwarder."""

    url: str
    port: int
    judged: list[Judged] = field(default_factory=list)
    prefer: str | None = None
    """Value of the Prefer header that is put on each request: "code=400, example=21610"."""

    @property
    def violations(self) -> list[str]:
        """Everything that is wrong with the requests so far."""
        return [violation for request in self.judged for violation in request.violations]


def prism_command(*, cache: Path | None = None) -> list[str]:
    """Return the command that runs Prism, installed first if need be; raises PrismMissing where it cannot be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise PrismMissing("Node.js and npm are not installed")
    base = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cardwatch"
    folder = base / f"prism-{VERSION}"
    script = folder / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _install(npm, folder)
            (folder / "installed").touch()
    return [node, str(script)]


def _install(npm: str, folder: Path) -> None:
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--no-save"]
    try:
        subprocess.run(
            [*command, f"@stoplight/prism-cli@{VERSION}"], check=True, capture_output=True, timeout=_INSTALL_S_MAX
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise PrismMissing(f"npm could not install Prism {VERSION} ({type(error).__name__})") from error


@contextmanager
def running_prism(contract: Path) -> Iterator[Prism]:
    """Serve an OpenAPI description; raises PrismMissing where Prism cannot run."""
    command = prism_command()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command, "mock", "--host", "127.0.0.1", "--port", str(port), str(contract)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_port(process, port)
        with _forwarder(port) as prism:
            yield prism
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
    raise RuntimeError(f"Prism did not start (exit code {process.poll()})")


class _Handler(BaseHTTPRequestHandler):
    """Forwards one request to Prism."""

    prism: Prism
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Forward a request without a body."""
        self._forward(b"")

    def do_POST(self) -> None:
        """Forward a request with its body."""
        self._forward(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def _forward(self, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_HEADERS}
        if self.prism.prefer is not None:
            headers["Prefer"] = self.prism.prefer
        connection = http.client.HTTPConnection("127.0.0.1", self.prism.port, timeout=30)
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            page = answer.read()
        finally:
            connection.close()
        wrong = violations({name.lower(): value for name, value in answer.getheaders()}, page)
        self.prism.judged.append(Judged(self.command, self.path.partition("?")[0], answer.status, wrong))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


def violations(headers: Mapping[str, str], page: bytes) -> tuple[str, ...]:
    """Return what Prism found wrong with a request: from its header, or from its own error page; lowercase names."""
    found = json.loads(headers.get("sl-violations") or "[]")
    if "problem+json" in headers.get("content-type", ""):
        problem = json.loads(page)
        found += problem.get("validation") or [{"location": ["request"], "message": problem.get("title", "")}]
    return tuple(
        f"{'.'.join(map(str, violation['location']))}: {violation['message']}"
        for violation in found
        if violation["location"][:1] == ["request"]
    )


@contextmanager
def _forwarder(port: int) -> Iterator[Prism]:
    prism = Prism("", port)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"prism": prism}))
    server.daemon_threads = True
    prism.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield prism
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
