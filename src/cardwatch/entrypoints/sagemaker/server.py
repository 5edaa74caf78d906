"""`GET /ping` and `POST /invocations` on port 8080: the bundle in /opt/ml/model, scored as everywhere.

A bare ASGI application on the uvicorn that the package needs anyway: two routes want no framework, and the standard
library's server would leave us bodies in chunks, half-closed connections, limits and an orderly end to write.
`/endpoints/NAME/invocations` answers too: the path that AWS's own clients ask, so that one pointed here needs no proxy.

Scoring runs in threads, so that `/ping` answers within its 2 s whatever else is asked. A body of 6 MiB holds at most
40,000 vectors (12 us each) and 1,000 are explained at once (1.3 ms each): an answer takes seconds, of the 60 that
SageMaker waits. SIGTERM lets open requests end, at most 5 s, of the 30 before SIGKILL. Nothing is fetched at the start.
"""

import asyncio
import re
import socket
from pathlib import Path

import structlog

from cardwatch.domain.errors import CardwatchError
from cardwatch.entrypoints.http.asgi import Receive, Scope, Send
from cardwatch.entrypoints.http.server import bind, make_server
from cardwatch.entrypoints.sagemaker.invocations import BODY_BYTES_MAX, TOO_LARGE, Answer, answer_invocation, refusal
from cardwatch.features.engine import default_engine
from cardwatch.ports import Scorer
from cardwatch.runtime.bootstrap import open_model
from cardwatch.runtime.json_logs import configure_logging

KEEP_ALIVE_S = 75
"""How long an idle connection stays open: longer than a proxy keeps one, else it may send into a closing one."""

_INVOCATIONS = re.compile(r"(?:/endpoints/[A-Za-z0-9-]{1,63})?/invocations")

_NOT_LOADED = refusal(503, "the model is not loaded")

_log = structlog.get_logger(__name__)


class ModelServer:
    """The ASGI application over the bundle in a folder, which it loads once it is started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scorer: Scorer | None = None
        self._features = len(default_engine().names)
        self._loading: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or start and stop."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        answer = await self._answer(scope, receive)
        if answer is None:
            return
        headers = [(b"content-type", answer.content_type.encode()), (b"content-length", b"%d" % len(answer.body))]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def load(self) -> None:
        """Load the bundle; one that cannot be used is logged, and every answer stays 503."""
        try:
            self._scorer = scorer = open_model(self._folder)
        except CardwatchError as error:
            _log.error("model not loaded", cause=str(error))
            return
        _log.info("model loaded", model_version=scorer.model_version, spec_hash=scorer.spec_hash)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._loading = asyncio.create_task(asyncio.to_thread(self.load))  # while it loads, /ping says so
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._loading
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | None:
        """Return what is answered, None where nobody waits any more."""
        path, method = scope["path"], scope["method"]
        invocation = _INVOCATIONS.fullmatch(path) is not None
        if not invocation and path != "/ping":
            return refusal(404, "there are GET /ping and POST /invocations")
        if method != ("POST" if invocation else "GET"):
            return refusal(405, f"{path} takes {'POST' if invocation else 'GET'}")
        if self._scorer is None:
            return _NOT_LOADED
        return await self._invoked(scope, receive, self._scorer) if invocation else Answer(200, "text/plain", b"")

    async def _invoked(self, scope: Scope, receive: Receive, scorer: Scorer) -> Answer | None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > BODY_BYTES_MAX:
            return TOO_LARGE
        body = await _body(receive)
        if not isinstance(body, bytes):
            return body
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        return await asyncio.to_thread(self._score, body, content_type, scorer)

    def _score(self, body: bytes, content_type: str, scorer: Scorer) -> Answer:
        try:
            return answer_invocation(body, content_type, scorer=scorer, features=self._features)
        except Exception as error:  # noqa: BLE001  whatever happened, its kind is logged and nothing of the request
            _log.error("invocation failed", kind=type(error).__name__)
            return refusal(500, "the model could not score this")


async def _body(receive: Receive) -> bytes | Answer | None:
    """Read a body up to the limit; None when the client has gone."""
    parts, size, more = list[bytes](), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_BYTES_MAX:
            return TOO_LARGE
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def run_server(folder: Path, *, host: str, port: int) -> None:
    """Serve a bundle until SIGTERM; raises CardwatchError when the address is taken."""
    configure_logging("INFO")
    try:
        listening = bind(host, port)
    except OSError as error:
        raise CardwatchError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    # asyncio leaves Nagle's algorithm on for sockets made without a protocol number: 40 ms an answer, measured.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _log.info("listening", port=listening.getsockname()[1], folder=str(folder))
    server = make_server(ModelServer(folder))
    server.config.timeout_keep_alive = KEEP_ALIVE_S
    asyncio.run(server.serve(sockets=[listening]))
    _log.info("stopped")
