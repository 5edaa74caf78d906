"""A receiver of posts on the loopback interface that keeps what it got and answers as badly as it is told to.

The fakes of push services stand on it. Replies are queued and each serves one request; without one it answers as usual.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Post:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    """By lower-case names."""
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0
    """Wait before answering."""
    drop: bool = False
    """Close the connection without an answer."""
    half_close: bool = False
    """Close only our direction without an answer, and go on listening."""
    drip_s: float = 0.0
    """Wait between the bytes of the answer."""
    head_first: bool = False
    """Let only the body drip."""
    raw: bytes | None = None
    """Send this in place of an HTTP answer."""


class Receiver:
    """What came in, and what is to be answered."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.replies: deque[Reply] = deque()
        self.written = 0
        """Bytes of answers that could be written."""
        self.url = ""

    def reply_to(self, post: Post) -> Reply:
        """Return the usual answer to a request."""
        del post
        return Reply()


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Keep the request and answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        post = Post(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.receiver.posts.append(post)
        usual = self.receiver.reply_to(post)
        reply = self.receiver.replies.popleft() if self.receiver.replies else usual
        time.sleep(reply.delay_s)
        with suppress(OSError):
            self._answer(reply)
        self.close_connection = True

    def do_GET(self) -> None:
        """Count as a post, for whoever follows a redirect."""
        self.do_POST()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def _answer(self, reply: Reply) -> None:
        if reply.drop:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if reply.half_close:
            self.connection.shutdown(socket.SHUT_WR)
            time.sleep(0.3)
            return
        lines = [f"HTTP/1.1 {reply.status} Something"]
        lines += [f"{name}: {value}" for name, value in {"Content-Length": len(reply.body), **reply.headers}.items()]
        head = "\r\n".join((*lines, "", "")).encode()
        if reply.raw is not None:
            self._write(reply.raw, 0)
        elif reply.drip_s:
            self._write(head, 0 if reply.head_first else reply.drip_s)
            self._write(reply.body, reply.drip_s)
        else:
            self._write(head + reply.body, 0)

    def _write(self, answer: bytes, drip_s: float) -> None:
        pieces = [answer[at : at + 1] for at in range(len(answer))] if drip_s else [answer]
        for piece in pieces:
            self.connection.sendall(piece)
            self.receiver.written += len(piece)
            time.sleep(drip_s)


class _Server(ThreadingHTTPServer):
    """Quiet about clients that hang up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: the tests hang up on purpose."""


@contextmanager
def serving(receiver: Receiver, *, certificate: Path | None = None) -> Iterator[None]:
    """Serve a receiver on a free port, over TLS if there is a certificate (with its key)."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": receiver}))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    receiver.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Serve a receiver of callbacks."""
    receiver = Receiver()
    with serving(receiver):
        yield receiver


def write_certificate(path: Path) -> Path:
    """Write a certificate of the loopback address that nobody signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def unused_url() -> str:
    """Return a URL of the loopback interface where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
