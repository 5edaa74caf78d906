"""E-mail through a mail server by SMTP (RFC 5321), with the standard library, in the thread that sends.

The conversation goes step by step, because it decides what is known when it breaks off: until the server has asked for
the content it has nothing (RFC 5321, 4.1.1.4), from then until its answer nobody knows, and that answer is final.
Nobody can be asked later, so what is unknown is left alone. What servers say in words names addresses: only their
numbers are kept. A password and a mail never go out in clear where TLS was asked for.
"""

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

from cardwatch.adapters.channels.links import LinkMaker
from cardwatch.adapters.channels.mail.smtp_replies import Step, refused
from cardwatch.adapters.channels.mail.text import checked_sender, compose, domain_of, mail_id, not_mailable
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import Clock, NotSent, OnUnknown, Sent, UnknownSent

TIMEOUT_S = 10.0
"""For each answer of the server but the last."""

TIMEOUTS_MAX = 3
"""A whole conversation may take as many timeouts; a server that answers in drops would have it go on for ever.

The last answer has what is left: servers look a mail over before they say that they take it.
"""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_UNREADABLE = NotSent("answer not readable", retryable=True)
_GO_AHEAD = 354
_GOODBYE_S = 1.0
_CUT_AGAIN_S = 1.0


class Security(StrEnum):
    """How the connection is kept secret."""

    STARTTLS = "starttls"
    """Begins in clear and changes to TLS before anything is said; usual on port 587."""
    TLS = "tls"
    """From the first byte; usual on port 465."""
    NONE = "none"
    """Never; for a relay on the same machine."""


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server and how it is spoken to."""

    host: str
    port: int
    security: Security = Security.STARTTLS
    username: str | None = None
    """With `password`: how we log in; None for a server that knows us by our network."""
    password: str | None = None
    timeout_s: float = TIMEOUT_S
    ca_file: str | None = None
    """Certificates (PEM) that its own is checked against, instead of the system's."""

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot work, or would send a password in clear."""
        if (self.username is None) != (self.password is None):
            raise ValueError("a user name for SMTP needs a password, and a password a user name")
        if not ((self.username or "") + (self.password or "")).isascii():
            raise ValueError("user name and password for SMTP must be ASCII")
        if self.username is not None and self.security is Security.NONE and self.host not in _LOOPBACK:
            raise ValueError("a password is not sent to a mail server in clear: use starttls or tls")
        try:
            self.host.encode("idna")
        except UnicodeError:
            raise ValueError("the mail server's name is not a host name") from None

    def __repr__(self) -> str:
        return f"SmtpServer({self.host!r}, {self.port}, {self.security.value!r})"


class SmtpChannel:
    """The channel "email" through one mail server; a connection for each mail."""

    name = "email"
    on_unknown = OnUnknown.LEAVE

    def __init__(
        self, *, server: SmtpServer, from_address: str, institution: str, links: LinkMaker, clock: Clock
    ) -> None:
        """Take what is needed; nothing is connected yet. `institution` is the name that mails come from.

        Raises ValueError for a From address that is not one plain address.
        """
        self.own_address = checked_sender(from_address)
        self._server = server
        self._institution = institution
        self._links = links
        self._clock = clock

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Hand a mail to the server; its Message-ID stands for a provider's id."""
        now_ms = self._clock.now_ms()
        unwanted = not_mailable(message, now_ms=now_ms)
        if unwanted is not None:
            return unwanted
        mail = compose(
            message, links=self._links, from_address=self.own_address, institution=self._institution, now_ms=now_ms
        ).as_bytes()
        try:
            with _session(self._server, own_name=domain_of(self.own_address)) as session:
                _put_envelope(session, from_address=self.own_address, address=message.address)
                return _put_content(session, mail, sid=mail_id(message, from_address=self.own_address))
        except _Broken as broken:
            return broken.outcome

    def find(self, message: Message) -> Sent | None:  # noqa: ARG002 - the port's
        """Raise OperatingError: a mail server cannot be asked what it has."""
        raise OperatingError("a mail server cannot be asked whether it has a mail")


def check_smtp(server: SmtpServer, *, from_address: str) -> str:
    """Connect, log in and name the sender, send nothing; returns one line, raises OperatingError with what is wrong."""
    try:
        with _session(server, own_name=domain_of(from_address)) as session:
            with _step(Step.SENDER):
                _expect(session.mail(from_address), Step.SENDER)
            protocol = session.sock.version() if isinstance(session.sock, ssl.SSLSocket) else None
    except _Broken as broken:
        raise OperatingError(f"mail server {server.host}:{server.port}: {broken.outcome.error}") from None
    login = "logged in" if server.username else "no login"
    return f"mail server {server.host}:{server.port} takes mail of ours ({protocol or 'in clear'}, {login})"


class _Broken(Exception):
    """The conversation ended before the content was asked for: the server provably has no mail."""

    def __init__(self, outcome: NotSent) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


class _Bounded(smtplib.SMTP):
    """A connection that is cut when its time is over, whatever the server is doing."""

    def __init__(self, server: SmtpServer, *, own_name: str, **options: Any) -> None:
        self._ended = threading.Event()
        time_s = server.timeout_s * TIMEOUTS_MAX
        threading.Thread(target=self._cut_after, args=(time_s,), name="smtp-watchdog", daemon=True).start()
        try:
            super().__init__(server.host, server.port, local_hostname=own_name, timeout=server.timeout_s, **options)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._ended.set()
        super().close()

    def _cut_after(self, time_s: float) -> None:
        while not self._ended.wait(time_s):
            connected = self.sock
            if connected is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own: that takes TLS away from under the thread that is speaking.
                    socket.socket.shutdown(connected, socket.SHUT_RDWR)
            time_s = _CUT_AGAIN_S  # in a handshake the socket changes


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    """The same in TLS from the first byte."""


@contextmanager
def _session(server: SmtpServer, *, own_name: str) -> Iterator[smtplib.SMTP]:
    """Return a connection that is ready for a mail: greeted, secret, logged in. Raises _Broken."""
    with _step(Step.GREETING):
        session = _connected(server, own_name)
    try:
        with _step(Step.GREETING):
            session.ehlo_or_helo_if_needed()
            if server.security is Security.STARTTLS:
                session.starttls(context=_tls(server.ca_file))
                session.ehlo_or_helo_if_needed()
        if server.username is not None and server.password is not None:
            with _step(Step.LOGIN):
                _log_in(session, server.username, server.password)
        yield session
    finally:
        _leave(session)


def _connected(server: SmtpServer, own_name: str) -> smtplib.SMTP:
    if server.security is Security.TLS:
        return _BoundedTls(server, own_name=own_name, context=_tls(server.ca_file))
    return _Bounded(server, own_name=own_name)


@cache
def _tls(ca_file: str | None) -> ssl.SSLContext:
    """Return what checks certificate and name; made once, since it reads many files. Raises _Broken."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise _Broken(NotSent("the file with certificates cannot be read", retryable=False, alarm=True)) from None


def _log_in(session: smtplib.SMTP, username: str, password: str) -> None:
    try:
        session.login(username, password)
    except ValueError:  # a challenge that is no base64, or no text
        raise _Broken(_UNREADABLE) from None


def _leave(session: smtplib.SMTP) -> None:
    """Say goodbye, without waiting long: whatever became of the mail is known."""
    with contextlib.suppress(OSError):
        if session.sock is not None:
            session.sock.settimeout(_GOODBYE_S)
            session.quit()
    session.close()


def _put_envelope(session: smtplib.SMTP, *, from_address: str, address: str) -> None:
    """Name sender and receiver. Raises _Broken."""
    options: tuple[str, ...] = ()
    if not address.isascii():
        if not session.has_extn("smtputf8"):
            raise _Broken(NotSent("address needs SMTPUTF8, which the server lacks", retryable=False))
        options = ("SMTPUTF8", "BODY=8BITMIME")
    with _step(Step.SENDER):
        _expect(session.mail(from_address, options), Step.SENDER)
    with _step(Step.RECEIVER):
        _expect(session.rcpt(address), Step.RECEIVER)


def _put_content(session: smtplib.SMTP, mail: bytes, *, sid: str) -> Sent | NotSent | UnknownSent:
    """Hand the content over and judge the answer. Raises _Broken while the server has not asked for it."""
    with _step(Step.CONTENT):
        code, text = session.docmd("data")
    if code != _GO_AHEAD:
        raise _Broken(refused(Step.CONTENT, code, text))
    stuffed = mail.replace(b"\r\n.", b"\r\n..")  # RFC 5321, 4.5.2; the first line is a header's
    try:
        session.send(stuffed + b".\r\n")
        if session.sock is not None:
            session.sock.settimeout(None)  # servers look a mail over before they answer; the watchdog ends it
        code, text = session.getreply()
    except OSError:
        return UnknownSent("connection lost after the mail was handed over")
    if 200 <= code < 300:
        return Sent(sid)
    return refused(Step.CONTENT, code, text) if 400 <= code < 600 else UnknownSent("answer not readable")


def _expect(reply: tuple[int, bytes], step: Step) -> None:
    if not 200 <= reply[0] < 300:
        raise _Broken(refused(step, *reply))


@contextmanager
def _step(step: Step) -> Iterator[None]:
    """Translate what goes wrong in a step."""
    try:
        yield
    except OSError as error:  # all of smtplib's, ssl's and socket's errors are
        raise _Broken(_broken_off(error, step)) from None


def _broken_off(error: OSError, step: Step) -> NotSent:
    match error:
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=text):
            return refused(step, code, text if isinstance(text, bytes) else b"")
        case smtplib.SMTPServerDisconnected() | ssl.SSLEOFError():
            return NotSent("connection lost before the mail was handed over", retryable=True)
        case smtplib.SMTPException() | ssl.SSLError():
            return NotSent(_misfit(error, step), retryable=False, alarm=True)
    return NotSent("no connection", retryable=True)


def _misfit(error: smtplib.SMTPException | ssl.SSLError, step: Step) -> str:
    """Return what the server lacks that was asked of it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate of the server not trusted"
    if isinstance(error, ssl.SSLError):
        return "no TLS with the server: check port and security"
    return "server offers no login that we know" if step is Step.LOGIN else "server offers no STARTTLS"
