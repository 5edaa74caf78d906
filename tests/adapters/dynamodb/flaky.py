"""A server between the store and DynamoDB that misbehaves as a network does, operation by operation."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

LOSE = "lose the answer"
"""The operation is done, and the connection ends before the answer comes."""


class Flaky:
    """What happens to the next operations, by name: LOSE, or the code of an error that is answered at once."""

    def __init__(self, url: str) -> None:
        self.target = urlsplit(url)
        self.url = ""
        self.plans: dict[str, list[str]] = {}
        self.seen: list[str] = []

    def plan(self, operation: str, *happenings: str) -> None:
        """Let the next calls of an operation go as told."""
        self.plans.setdefault(operation, []).extend(happenings)


class _Handler(BaseHTTPRequestHandler):
    """Forwards one request, or does not."""

    flaky: Flaky
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Do what is planned for the operation."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        operation = self.headers.get("X-Amz-Target", "").partition(".")[2]
        self.flaky.seen.append(operation)
        plans = self.flaky.plans.get(operation)
        happening = plans.pop(0) if plans else None
        if happening is not None and happening != LOSE:
            self._answer(400, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{happening}"}).encode())
            return
        status, page = self._forward(body)
        if happening == LOSE:
            self.close_connection = True
            self.connection.close()
            return
        self._answer(status, page)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        target = self.flaky.target
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
        try:
            connection.request("POST", "/", body, {n: v for n, v in self.headers.items() if n.lower() != "host"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, page: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


class _Server(ThreadingHTTPServer):
    """Does not print what a closed connection raises."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent."""


@contextmanager
def running_flaky(url: str) -> Iterator[Flaky]:
    """Run the server in front of an endpoint."""
    flaky = Flaky(url)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"flaky": flaky}))
    flaky.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield flaky
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
