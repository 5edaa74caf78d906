"""The fake over HTTP: it checks the credentials, goes wrong as it was told, and can be slow, refuse or hang."""

import base64
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.fakes.twilio.account import FakeTwilio
from tests.fakes.twilio.numbers import ACCOUNT_SID, OWN_NUMBERS, error_body
from tests.fakes.twilio.texts import Fault

_HANG_S_MAX = 60.0
_Answer = tuple[int, dict[str, Any]]


class ServedTwilio(FakeTwilio):
    """The fake with its server, which may die and come back at the same address."""

    def __init__(self, *, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.refusing = False
        self.open = threading.Event()
        """Cleared while connections are taken and nothing is answered."""
        self.open.set()
        self.connections: set[socket.socket] = set()
        self._port = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, at the same port as before."""
        handler = type("Handler", (_Handler,), {"twilio": self})
        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and hang up on everybody."""
        self.open.set()
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
        self._server = None
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def die(self, *, hanging: bool = False) -> None:
        """Refuse connections from now on, or take them and answer nobody."""
        if hanging:
            self.open.clear()
            return
        self.refusing = True
        self.stop()

    def revive(self) -> None:
        """Answer again; what was asked meanwhile is never answered."""
        self.open.set()
        if self.refusing:
            self.refusing = False
            self.start()


class _Handler(BaseHTTPRequestHandler):
    """One request to the fake."""

    twilio: ServedTwilio
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.twilio.connections.add(self.connection)

    def finish(self) -> None:
        self.twilio.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        """Create a message."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        fields = dict(parse_qsl(body, keep_blank_values=True))
        self._serve(fields, self.twilio.create_faults, lambda: self.twilio.create(fields))

    def do_GET(self) -> None:
        """List messages, or show the account."""
        path = urlsplit(self.path).path
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if path.endswith("/Messages.json"):
            self._serve(query, self.twilio.list_faults, lambda: (200, self.twilio.listed(query)))
        else:
            self._serve(query, deque(), lambda: _account(path, query))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Date answers by Twilio's clock."""
        return format_datetime(self.twilio.now(), usegmt=True) if timestamp is None else super().date_time_string()

    def _serve(self, fields: dict[str, str], faults: deque[Fault], usual: Callable[[], _Answer]) -> None:
        twilio = self.twilio
        if not twilio.open.is_set():
            twilio.open.wait(_HANG_S_MAX)
            self._hang_up()
            return
        twilio.requests.append((self.command, urlsplit(self.path).path, fields))
        if not self._is_authentic():
            self._answer(401, json.dumps(error_body(401, 20003)), Fault())
            return
        fault = faults.popleft() if faults else Fault()
        answer = usual() if fault.takes or not fault.answers_itself else None
        time.sleep(fault.delay_s + twilio.slow_s)
        if fault.drop:
            self._hang_up()
        elif fault.answers_itself:
            self._answer(fault.status or (201 if self.command == "POST" else 200), _page(fault), fault)
        elif answer is not None:
            self._answer(answer[0], json.dumps(answer[1]), fault)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _is_authentic(self) -> bool:
        pairs = (base64.b64encode(f"{ACCOUNT_SID}:{token}".encode()).decode() for token in self.twilio.tokens)
        return self.headers.get("Authorization") in {f"Basic {pair}" for pair in pairs}

    def _answer(self, status: int, page: str, fault: Fault) -> None:
        sent = page.encode()
        half = len(sent) // 2
        with suppress(BrokenPipeError, ConnectionResetError):
            if self.twilio.dated:
                self.send_response(status)
            else:
                self.send_response_only(status)
            self.send_header("Content-Type", "text/html" if page.startswith("<") else "application/json")
            self.send_header("Content-Length", str(len(sent)))
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent[:half])
            self.wfile.flush()
            time.sleep(fault.stall_s)
            if fault.cut:
                self._hang_up()
            else:
                self.wfile.write(sent[half:])


def _page(fault: Fault) -> str:
    if fault.body is not None:
        return fault.body
    if fault.code and fault.status:
        return json.dumps(error_body(fault.status, fault.code))
    return "<html>bad gateway</html>"


def _account(path: str, query: dict[str, str]) -> _Answer:
    """Answer what a check of the account asks for."""
    root = f"/2010-04-01/Accounts/{ACCOUNT_SID}"
    if path == f"{root}.json":
        return 200, {"sid": ACCOUNT_SID, "status": "active"}
    if path == f"{root}/Balance.json":
        return 200, {"account_sid": ACCOUNT_SID, "balance": "12.50", "currency": "USD"}
    if path == f"{root}/IncomingPhoneNumbers.json":
        owned = [number for number in OWN_NUMBERS if query.get("PhoneNumber") in {None, number}]
        return 200, {"incoming_phone_numbers": [{"phone_number": number} for number in owned], "next_page_uri": None}
    return 404, error_body(404, 20404)


class _Server(ThreadingHTTPServer):
    """Quiet about clients that hang up."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: the tests hang up on purpose."""


@contextmanager
def running_twilio(*, seed: int | None = None) -> Iterator[ServedTwilio]:
    """Serve a fake on a free port of the loopback interface."""
    twilio = ServedTwilio(seed=seed)
    twilio.start()
    try:
        yield twilio
    finally:
        twilio.close()
        twilio.stop()
