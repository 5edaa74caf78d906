"""A Twilio of our own on the loopback interface: the Messages resource with its errors, and its signed webhooks.

Written from Twilio's documents, not from the adapter: it signs by itself and checks what Twilio checks. Faults are
queued and each serves one request.
"""

import base64
import hashlib
import hmac
import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

ACCOUNT_SID = "AC" + "1" * 32
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
OWN_NUMBERS = frozenset({"+12025550199"})


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How one request goes wrong."""

    status: int | None = None
    """Answer with this status; None answers as usual."""
    code: int | None = None
    """Twilio's code in the error body; None sends a page that is no JSON."""
    takes: bool = False
    """Whether a text is taken nevertheless."""
    delay_s: float = 0.0
    """Wait before answering."""
    drop: bool = False
    """Close the connection without an answer."""


@dataclass
class Text:
    """A text that the fake took."""

    sid: str
    fields: dict[str, str]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = "queued"

    def as_json(self) -> dict[str, Any]:
        """Return the resource as Twilio prints it."""
        return {
            "sid": self.sid,
            "account_sid": ACCOUNT_SID,
            "to": self.fields["To"],
            "from": self.fields.get("From"),
            "messaging_service_sid": self.fields.get("MessagingServiceSid"),
            "body": self.fields["Body"],
            "status": self.status,
            "direction": "outbound-api",
            "date_created": format_datetime(self.created),
            "date_sent": None,
            "date_updated": format_datetime(self.created),
            "num_segments": "1",
            "num_media": "0",
            "error_code": None,
            "error_message": None,
            "price": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{self.sid}.json",
        }


class FakeTwilio:
    """The state of the fake, and the webhooks that it posts."""

    def __init__(self) -> None:
        self.texts: list[Text] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, path and fields of every request, in order."""
        self.create_faults: deque[Fault] = deque()
        self.list_faults: deque[Fault] = deque()
        self.opted_out: set[str] = set()
        self.url = ""
        self._lock = threading.Lock()

    def create(self, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Take a text, or refuse it for what Twilio refuses."""
        problem = self._problem(fields)
        if problem is not None:
            status, code = problem
            return status, error_body(status, code)
        with self._lock:
            text = Text(sid=f"SM{len(self.texts):032x}", fields=fields)
            self.texts.append(text)
        return 201, text.as_json()

    def listed(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the texts to a number, newest first."""
        matching = [text.as_json() for text in reversed(self.texts) if query.get("To") in {None, text.fields["To"]}]
        page_size = int(query.get("PageSize", "50"))
        return {"messages": matching[:page_size], "page": 0, "page_size": page_size, "next_page_uri": None}

    def _problem(self, fields: dict[str, str]) -> tuple[int, int] | None:
        validity = fields.get("ValidityPeriod", "36000")
        checks = (
            (not fields.get("To"), 21604),
            (not fields.get("To", "").startswith("+"), 21211),
            (not fields.get("Body") or len(fields["Body"]) > 1600, 21602),
            (("From" in fields) == ("MessagingServiceSid" in fields), 21603),
            ("From" in fields and fields["From"] not in OWN_NUMBERS, 21606),
            (not (validity.isdigit() and 1 <= int(validity) <= 36_000), 21625),
            (fields.get("To") in self.opted_out, 21610),
        )
        return next(((400, code) for wrong, code in checks if wrong), None)

    def post_status(self, text: Text, status: str, *, error_code: int | None = None, repeat: int = 1) -> list[int]:
        """Post a status callback to where the text asked for it; returns the answers' statuses."""
        text.status = status
        fields = {"MessageSid": text.sid, "MessageStatus": status, "To": text.fields["To"], "AccountSid": ACCOUNT_SID}
        if error_code is not None:
            fields["ErrorCode"] = str(error_code)
        return [post_signed(text.fields["StatusCallback"], fields) for _ in range(repeat)]

    def post_inbound(self, url: str, *, phone: str, body: str, sid: str) -> int:
        """Post a reply to the inbound route; STOP is kept, as Twilio does."""
        if body.strip().upper() == "STOP":
            self.opted_out.add(phone)
        fields = {
            "MessageSid": sid,
            "AccountSid": ACCOUNT_SID,
            "From": phone,
            "To": next(iter(OWN_NUMBERS)),
            "Body": body,
            "NumMedia": "0",
            "NumSegments": "1",
        }
        return post_signed(url, fields)


def error_body(status: int, code: int) -> dict[str, Any]:
    """Return an error as Twilio prints it, with the number that it likes to name."""
    return {"code": code, "message": "The number +12025550101 is not valid", "more_info": "", "status": status}


def signature(url: str, fields: Mapping[str, str], *, token: str = AUTH_TOKEN) -> str:
    """Sign a form post by Twilio's published algorithm."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def post_signed(url: str, fields: Mapping[str, str]) -> int:
    """Post a signed form; returns the answer's status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=15)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature(url, fields)}
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        connection.request("POST", target, urlencode(fields), headers)
        return connection.getresponse().status
    finally:
        connection.close()


class _Handler(BaseHTTPRequestHandler):
    """One request to the fake."""

    twilio: FakeTwilio
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Create a message."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        fields = dict(parse_qsl(body, keep_blank_values=True))
        self._serve(fields, self.twilio.create_faults, lambda: self.twilio.create(fields))

    def do_GET(self) -> None:
        """List messages."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self._serve(query, self.twilio.list_faults, lambda: (200, self.twilio.listed(query)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def _serve(self, fields: dict[str, str], faults: deque[Fault], usual: Any) -> None:
        self.twilio.requests.append((self.command, urlsplit(self.path).path, fields))
        fault = faults.popleft() if faults else Fault()
        answer = usual() if fault.takes or not (fault.status or fault.drop) else None
        time.sleep(fault.delay_s)
        if fault.drop:
            self.close_connection = True
            self.connection.close()
        elif not self._is_authentic():
            self._answer(401, json.dumps(error_body(401, 20003)))
        elif fault.status is not None:
            page = json.dumps(error_body(fault.status, fault.code)) if fault.code else "<html>bad gateway</html>"
            self._answer(fault.status, page)
        else:
            status, payload = answer or usual()
            self._answer(status, json.dumps(payload))

    def _is_authentic(self) -> bool:
        expected = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _answer(self, status: int, page: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if page.startswith("{") else "text/html")
            self.send_header("Content-Length", str(len(page.encode())))
            self.end_headers()
            self.wfile.write(page.encode())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    """Quiet about clients that hang up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: the tests hang up on purpose."""


@contextmanager
def running_twilio() -> Iterator[FakeTwilio]:
    """Serve a fake on a free port of the loopback interface."""
    twilio = FakeTwilio()
    handler = type("Handler", (_Handler,), {"twilio": twilio})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    twilio.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield twilio
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
