"""An Amazon SES on the loopback interface that answers what it is told to: errors, silence, half of an answer.

It speaks the wire format of API v2 (REST and JSON): POST /v2/email/outbound-emails, GET /v2/email/account.
"""

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SesAnswer:
    """How one request is answered."""

    status: int = 200
    code: str | None = None
    """AWS's name of the error, with its "Exception" where it has that."""
    body: bytes | None = None
    """Instead of the usual body."""
    delay_s: float = 0.0
    delay_in_body_s: float = 0.0
    """Wait when half of the body is out."""
    drop: bool = False
    """Close the connection without an answer."""


@dataclass
class FakeSes:
    """What was asked, and what is answered next; without anything queued a mail is taken."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    answers: deque[SesAnswer] = field(default_factory=deque)
    account: dict[str, Any] = field(
        default_factory=lambda: {
            "SendingEnabled": True,
            "ProductionAccessEnabled": True,
            "SendQuota": {"Max24HourSend": 50_000.0, "MaxSendRate": 14.0, "SentLast24Hours": 120.0},
        }
    )

    @property
    def mails(self) -> list[bytes]:
        """Return the mails that were handed over, as they were composed."""
        return [base64.b64decode(request["Content"]["Raw"]["Data"]) for request in self.requests]


@contextmanager
def running_ses() -> Iterator[FakeSes]:
    """Serve the fake on a free port of 127.0.0.1."""
    fake = FakeSes()

    class Handler(BaseHTTPRequestHandler):
        """Serves one connection."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Take a mail."""
            fake.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer({"MessageId": f"0100-{len(fake.requests)}"})

        def do_GET(self) -> None:
            """Show the account."""
            self._answer(fake.account)

        def _answer(self, usual: dict[str, Any]) -> None:
            answer = fake.answers.popleft() if fake.answers else SesAnswer()
            time.sleep(answer.delay_s)
            if answer.drop:
                self.close_connection = True
                return
            said = {"message": "ada@example.com at Suspicious Store"} if answer.code else usual
            body = json.dumps(said).encode() if answer.body is None else answer.body
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            if answer.code:
                self.send_header("x-amzn-ErrorType", answer.code)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            time.sleep(answer.delay_in_body_s)
            self.wfile.write(body[len(body) // 2 :])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)
