"""One POST with an end: a deadline for all of it, no redirects, a bounded answer, and nothing in any log.

`requests` limits how long it waits for each piece, so a receiver that drips holds a thread for ever; here a watch shuts
the connection down. It also knows whether a connection came about at all: before that nothing can have been taken.
Connections are not kept: one that the other side just closed would leave a message in doubt. This module loads
`requests` (0.1 s), so it is imported by what sends, when it sends.
"""

import io
import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import Any, Self

import msgspec
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.utils import get_auth_from_url
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from cardwatch.domain.message import Message, MessageState
from cardwatch.domain.times import HOUR_MS
from cardwatch.ports import NotSent, UnknownSent

CONNECT_TIMEOUT_S = 5.0
"""For each address of a host."""

ANSWER_BYTES_MAX = 1024
RETRY_AFTER_MS_MAX = HOUR_MS
"""Whoever asks to be left alone for longer is asked again after an hour."""

FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, ValueError, OSError)
"""What sending can raise."""

_TALKATIVE = frozenset(
    {"apprise", "asyncio", "google", "oauthlib", "pywebpush", "requests", "requests_oauthlib", "root", "urllib3"}
)
"""Families of loggers that name addresses, bodies or credentials at some level; pywebpush logs as the root."""

_hushed: ContextVar[bool] = ContextVar("hushed", default=False)


class Answer(msgspec.Struct, frozen=True):
    """What was answered."""

    status: int
    body: bytes
    """The beginning of the body, as far as was asked for; it may be cut off, or empty where it came too late."""
    retry_after: str | None = None


def post(
    url: str, *, body: bytes, headers: Mapping[str, str], timeout_s: float, answer_bytes_max: int = ANSWER_BYTES_MAX
) -> Answer | NotSent | UnknownSent:
    """Post a body as it is; returns whatever was answered, or what the lack of an answer means."""
    with hush(), Exchange(timeout_s=timeout_s, answer_bytes_max=answer_bytes_max) as exchange:
        try:
            response = exchange.post(url, data=body, headers=dict(headers))
        except FAILURES as error:
            return exchange.unanswered(error)
        return Answer(response.status_code, response.content, response.headers.get("Retry-After"))


def retry_after_ms(header: str | None, *, now_ms: int) -> int | None:
    """Return how long a Retry-After header (seconds, or a date) asks to wait, None if it says nothing."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * 1000, RETRY_AFTER_MS_MAX)
    try:
        until_ms = int(parsedate_to_datetime(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return max(0, min(until_ms - now_ms, RETRY_AFTER_MS_MAX))


def claim_may_run_out(message: Message, *, now_ms: int, longest_s: float) -> bool:
    """Say whether a claim that waited for its turn might end while its message is under way."""
    return message.state is MessageState.SENDING and now_ms + int(longest_s * 1000) > message.due_at_ms


class Exchange(requests.Session):
    """A session for one thread and one request, to be given also to libraries that bring their own calls."""

    def __init__(self, *, timeout_s: float, answer_bytes_max: int = ANSWER_BYTES_MAX) -> None:
        """Set the end of each request, and how much of its answer is read; timeouts given to calls do not count."""
        super().__init__()
        self.headers.update({"User-Agent": "cardwatch", "Accept-Encoding": "identity", "Connection": "close"})
        self.auth = _credentials_of_url
        self.connected = False
        """Whether the last request had a connection, and so may have been taken."""
        self.expired = False
        """Whether the last request was cut off by the deadline."""
        adapter = _BoundedAdapter(self, timeout_s=timeout_s, answer_bytes_max=answer_bytes_max)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Follow nowhere: an answer is what the address itself says."""
        del resp
        return None

    def unanswered(self, error: Exception) -> NotSent | UnknownSent:
        """Judge one of FAILURES: only where no connection came about is it certain that nothing was taken."""
        if self.connected:
            late = self.expired or isinstance(error, requests.Timeout)
            return UnknownSent("no answer in time" if late else f"connection broken ({type(error).__name__})")
        if isinstance(error, ValueError):
            return NotSent("address not usable", retryable=False, tried=False)
        return NotSent(f"no connection ({type(error).__name__})", retryable=True)


@contextmanager
def hush() -> Iterator[None]:
    """Keep talkative libraries from logging in this context and in threads that are started with a copy of it.

    They name addresses with their tokens, bodies, credentials. What else the process logs by them is not touched.
    """
    for name in ("root", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in _TALKATIVE:
            logging.getLogger(None if name == "root" else name).addFilter(_speaks_freely)
    before = _hushed.set(True)
    try:
        yield
    finally:
        _hushed.reset(before)


def _speaks_freely(record: logging.LogRecord) -> bool:
    del record
    return not _hushed.get()


def _credentials_of_url(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send the user and password of the URL, if it has any, and never those of a .netrc file."""
    user, password = get_auth_from_url(request.url or "")
    return HTTPBasicAuth(user, password)(request) if user or password else request


class _Watch:
    """Shuts a connection down when time is up."""

    def __init__(self, timeout_s: float) -> None:
        self.connected = False
        self.expired = False
        self._held: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(timeout_s, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._held is not None:
                self._held.close()
                self._held = None

    def over(self, connection: socket.socket) -> None:
        """Watch over a connection, unless it came too late (TimeoutError).

        The handle is our own, so that the right connection is shut down whoever closes what.
        """
        with self._lock:
            if self.expired:
                raise TimeoutError
            self._held = socket.fromfd(connection.fileno(), connection.family, connection.type)
            self.connected = True

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            if self._held is not None:
                with suppress(OSError):
                    self._held.shutdown(socket.SHUT_RDWR)


_watch: ContextVar[_Watch] = ContextVar("watch")


class _Connection(HTTPConnection):
    """A connection that is watched over."""

    def connect(self) -> None:
        super().connect()
        _watch.get().over(self.sock)


class _TlsConnection(HTTPSConnection):
    """The same, encrypted: it counts as connected once the certificate was accepted."""

    def connect(self) -> None:
        super().connect()
        _watch.get().over(self.sock)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _BoundedAdapter(HTTPAdapter):
    """Sends with a deadline, and reads no more of an answer than asked for."""

    def __init__(self, exchange: Exchange, *, timeout_s: float, answer_bytes_max: int) -> None:
        self._exchange = exchange
        self._timeout_s = timeout_s
        self._answer_bytes_max = answer_bytes_max
        super().__init__()

    def init_poolmanager(self, *args: Any, **keywords: Any) -> None:
        super().init_poolmanager(*args, **keywords)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **keywords)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **keywords: Any) -> requests.Response:
        timeouts = (min(CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s)
        with _Watch(self._timeout_s) as watch:
            before = _watch.set(watch)
            try:
                response = super().send(request, *args, **{**keywords, "stream": True, "timeout": timeouts})
                if watch.expired:  # a head that was cut off reads like a whole one
                    raise requests.ReadTimeout(request=request)
                response.raw = io.BytesIO(self._beginning(response.raw))
            finally:
                _watch.reset(before)
                self._exchange.connected, self._exchange.expired = watch.connected, watch.expired
                self.close()
        return response

    def _beginning(self, raw: Any) -> bytes:
        """Read up to the limit; a body that breaks off or comes too late takes nothing from the status."""
        read = b""
        with suppress(urllib3.exceptions.HTTPError, OSError, ValueError):
            while len(read) < self._answer_bytes_max:
                piece = raw.read(self._answer_bytes_max - len(read), decode_content=False)
                if not piece:
                    break
                read += piece
        with suppress(urllib3.exceptions.HTTPError, OSError):
            raw.close()
        return read
