"""An application's webhook: takes posts on the loopback interface, keeps them, and answers as it was told."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One post as it came."""

    path_and_query: str
    headers: dict[str, str]
    """By lowercase name."""
    body: bytes


@dataclass
class Sink:
    """What came, and what is answered next."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)
    """Statuses of the next answers; 200 when there are none. 0 hangs up."""
    delay_s: float = 0.0


class _Handler(BaseHTTPRequestHandler):
    sink: Sink

    def do_POST(self) -> None:
        """Keep a post and answer it."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.sink.received.append(Received(self.path, headers, body))
        time.sleep(self.sink.delay_s)
        status = self.sink.answers.popleft() if self.sink.answers else 200
        if status == 0:
            self.close_connection = True
            return
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.end_headers()
            self.wfile.write(b"<Response/>")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""


@contextmanager
def running_sink() -> Iterator[Sink]:
    """Serve a webhook on a free port."""
    sink = Sink()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"sink": sink}))
    server.daemon_threads = True
    sink.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
