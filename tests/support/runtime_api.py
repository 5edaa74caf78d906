"""Lambda's Runtime API as a stub on the loopback interface, and a packaged function that runs against it.

The function is AWS's own runtime client (awslambdaric) in a process of its own, with the unpacked package and nothing
else of ours on its path. boto3 comes from the runtime, as on AWS.
"""

import base64
import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RUNTIME = ("awslambdaric>=4,<5", "boto3>=1.40")
_INSTALL_S_MAX = 300
_ANSWER_S_MAX = 60.0


class RuntimeMissing(Exception):
    """The runtime client cannot be had here; says why."""


@dataclass
class Answer:
    """What came of an invocation."""

    payload: Any
    error: bool
    took_s: float
    """From the moment the event was handed over."""


@dataclass
class RuntimeApi:
    """The stub: events wait in a queue, answers come back by their ids."""

    url: str = ""
    asked_at: float | None = None
    """When the function asked for its first event: it is ready then."""
    _events: "queue.Queue[tuple[str, bytes]]" = field(default_factory=queue.Queue)
    _answers: "queue.Queue[Answer]" = field(default_factory=queue.Queue)
    _handed_at: float = 0.0
    _count: int = 0

    def invoke(self, event: Mapping[str, Any]) -> Answer:
        """Hand an event over and wait for what comes of it."""
        self._count += 1
        self._events.put((f"invocation-{self._count:04}", json.dumps(event).encode()))
        return self._answers.get(timeout=_ANSWER_S_MAX)

    def next_event(self) -> tuple[str, bytes]:
        """Return the next event once there is one."""
        self.asked_at = self.asked_at or time.perf_counter()
        event = self._events.get()
        self._handed_at = time.perf_counter()
        return event

    def take(self, body: bytes, *, error: bool) -> None:
        """Take an answer, or the error of an invocation or of the start."""
        self._answers.put(Answer(json.loads(body or b"null"), error, time.perf_counter() - self._handed_at))


@contextmanager
def running_function(
    package: Path, handler: str, *, python: str, environment: Mapping[str, str]
) -> Iterator[tuple[RuntimeApi, float]]:
    """Run an unpacked package; yields the stub and when the process was started. Raises RuntimeMissing."""
    runtime = _runtime(python)
    api = RuntimeApi()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    api.url = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    started = time.perf_counter()
    process = subprocess.Popen(
        [python, "-B", "-s", "-c", "from awslambdaric.__main__ import main; import sys; main(sys.argv)", handler],
        env={
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": f"{package}:{runtime}",
            "LD_LIBRARY_PATH": str(package / "lib"),
            "LAMBDA_TASK_ROOT": str(package),
            "AWS_LAMBDA_RUNTIME_API": api.url,
            "AWS_LAMBDA_FUNCTION_NAME": "packaged",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": "none",
            "AWS_LAMBDA_LOG_STREAM_NAME": "none",
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            **environment,
        },
        cwd=package,
    )
    try:
        yield api, started
    finally:
        process.kill()
        process.wait(10)
        server.shutdown()
        server.server_close()


def as_lambda_sends(value: Any) -> Any:
    """Return a stream record as it stands in Lambda's event: bytes in base64, instants in seconds."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {name: as_lambda_sends(part) for name, part in value.items()}
    if isinstance(value, list):
        return [as_lambda_sends(part) for part in value]
    return value.timestamp() if hasattr(value, "timestamp") else value


def _runtime(python: str) -> Path:
    """Return a folder with the runtime client for an interpreter, installed once."""
    asked = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cardwatch"
    folder = base / f"lambda-runtime-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
            try:
                subprocess.run(
                    [*command, "--target", str(folder), *RUNTIME],
                    check=True, capture_output=True, timeout=_INSTALL_S_MAX,
                )  # fmt: skip
            except (subprocess.SubprocessError, OSError) as error:
                raise RuntimeMissing(f"awslambdaric could not be installed ({type(error).__name__})") from error
            (folder / "installed").touch()
    return folder


class _Server(ThreadingHTTPServer):
    """Quiet about functions that are ended while they wait."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing."""


class _Handler(BaseHTTPRequestHandler):
    """One request of the runtime client (AWS, "Using the Lambda runtime API", version 2018-06-01)."""

    api: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Hand out the next event."""
        request_id, event = self.api.next_event()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", request_id)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 60_000))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-2:123456789012:function:f")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self) -> None:
        """Take an answer or an error."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.api.take(body, error=self.path.endswith("/error"))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""
