"""Mail servers on the loopback interface: a real one (aiosmtpd) that keeps what it takes, and scripts that misbehave.

The real one refuses, hangs up or waits where it is told to; the scripts say bytes that no real server would.
"""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP as Server  # noqa: N811 - a class, whatever its letters
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USERNAME = "cardwatch"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Certificates:
    """Files of a server certificate for localhost, which is its own authority."""

    ca_file: str
    key_file: str

    def context(self) -> ssl.SSLContext:
        """Return the server's side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, self.key_file)
        return context


def make_certificates(folder: Path, *, host: str = "localhost") -> Certificates:
    """Make a certificate for a host name, and for 127.0.0.1 if that is localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file, key_file = folder / "certificate.pem", folder / "key.pem"
    ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificates(str(ca_file), str(key_file))


@dataclass(frozen=True)
class TakenMail:
    """A mail that the server took."""

    sender: str
    receivers: tuple[str, ...]
    content: bytes
    options: tuple[str, ...]
    in_tls: bool
    logged_in: bool

    def parsed(self) -> EmailMessage:
        """Return the mail as a mail program reads it."""
        return message_from_bytes(self.content, policy=policy.default)


@dataclass
class Sink:
    """What the real server took, and where it misbehaves; steps are EHLO, MAIL, RCPT, DATA (the answer at its end)."""

    port: int = 0
    mails: list[TakenMail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    """Every step that was reached, in order."""
    answers: dict[str, str] = field(default_factory=dict)
    """What is answered at a step instead of 250; at AUTH instead of 235."""
    delays_s: dict[str, float] = field(default_factory=dict)
    drops: set[str] = field(default_factory=set)
    """Steps at which the server hangs up without an answer."""
    takes_before: set[str] = field(default_factory=set)
    """With "DATA": the mail is taken, whatever is answered then."""

    async def handle_MAIL(  # noqa: N802, D102 - aiosmtpd's name
        self, server: Server, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._reached("MAIL", server)

    async def handle_RCPT(  # noqa: N802, D102
        self, server: Server, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = await self._reached("RCPT", server)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:  # noqa: N802, D102
        mail = TakenMail(
            envelope.mail_from or "",
            tuple(envelope.rcpt_tos),
            cast("bytes", envelope.content),
            tuple(envelope.mail_options),
            in_tls=session.ssl is not None or _transport(server).get_extra_info("sslcontext") is not None,
            logged_in=bool(session.authenticated),
        )
        if "DATA" in self.takes_before:
            self.mails.append(mail)
        answer = await self._reached("DATA", server)
        if answer.startswith("2") and "DATA" not in self.takes_before | self.drops:
            self.mails.append(mail)
        return answer

    def authenticate(
        self, _server: Server, _session: Session, _envelope: Envelope, _mechanism: str, login: LoginPassword
    ) -> AuthResult:
        """Take the one user name with its password."""
        self.commands.append("AUTH")
        if "AUTH" in self.answers:
            return AuthResult(success=False, handled=False, message=self.answers["AUTH"])
        fits = (login.login, login.password) == (USERNAME.encode(), PASSWORD.encode())
        return AuthResult(success=fits, handled=False)

    async def _reached(self, step: str, server: Server) -> str:
        self.commands.append(step)
        await asyncio.sleep(self.delays_s.get(step, 0.0))
        if step in self.drops:
            _transport(server).abort()
        return self.answers.get(step, "250 OK")


def _transport(server: Server) -> asyncio.WriteTransport:
    return cast("asyncio.WriteTransport", server.transport)


@contextmanager
def running_smtp(
    *, starttls: Certificates | None = None, tls: Certificates | None = None, logins: bool = False, utf8: bool = True
) -> Iterator[Sink]:
    """Serve mail on a free port of 127.0.0.1, in clear unless certificates are given."""
    sink = Sink()
    options: dict[str, Any] = {"enable_SMTPUTF8": utf8, "timeout": 30}
    if starttls is not None:
        options |= {"tls_context": starttls.context(), "require_starttls": True}
    if logins:
        options |= {"authenticator": sink.authenticate, "auth_required": True, "auth_require_tls": starttls is not None}
    ssl_context = None if tls is None else tls.context()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        sink.port = free.getsockname()[1]
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port, ssl_context=ssl_context, **options)
    controller.start()
    sink.commands.clear()
    try:
        yield sink
    finally:
        controller.stop()


@contextmanager
def scripted_smtp(play: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve connections with a function, one after the other; yields the port of 127.0.0.1."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.settimeout(10.0)
                play(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5.0)


def saying(*answers: bytes) -> Callable[[socket.socket], None]:
    """Return a script that says one answer on connecting and one after each line, then hangs up."""

    def play(connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        for answer in answers:
            connection.sendall(answer)
            if not lines.readline():
                return

    return play


def hang_up_hard(connection: socket.socket) -> None:
    """Reset a connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()
