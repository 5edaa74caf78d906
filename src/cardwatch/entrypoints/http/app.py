"""The HTTP application: routes, error answers, and the life of the process."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

from litestar import Litestar
from litestar.datastructures import State

from cardwatch.entrypoints.http import asgi
from cardwatch.entrypoints.http.accounts import Accounts
from cardwatch.entrypoints.http.answer.routes import AnswerPage
from cardwatch.entrypoints.http.edge import Edge
from cardwatch.entrypoints.http.operations import docs, healthz, metrics, openapi, readyz
from cardwatch.entrypoints.http.phone import Phone
from cardwatch.entrypoints.http.problems import handle_exception
from cardwatch.entrypoints.http.transactions import Transactions, post_transaction
from cardwatch.entrypoints.http.webhooks import TwilioWebhook
from cardwatch.ports import Randomness
from cardwatch.runtime.application import Application

BackgroundTask: TypeAlias = Callable[[Application], Awaitable[None]]

_WARM_UPS = 20


def make_app(
    application: Application,
    *,
    randomness: Randomness,
    pages: Sequence[Any] = (),
    tasks: Sequence[BackgroundTask] = (),
) -> asgi.Application:
    """Make the ASGI application of the embedded home; `pages` are more route handlers, such as the console's.

    `tasks` run beside the requests from readiness on and are cancelled at the end.
    """

    @asynccontextmanager
    async def life(framework: Litestar) -> AsyncIterator[None]:
        await application.start()
        await _warm_up(cast("asgi.Application", framework))
        _spare_the_collector()
        application.ready = True
        beside = [asyncio.ensure_future(task(application)) for task in tasks]
        try:
            yield
        finally:
            for running in beside:
                running.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await application.stop()
            gc.unfreeze()

    app = Litestar(
        route_handlers=_routes(application, pages),
        exception_handlers={Exception: handle_exception},
        lifespan=[life],
        openapi_config=None,
        logging_config=None,
        state=State({"application": application}),
        debug=False,
    )
    return Edge(
        cast("asgi.Application", app),
        api_keys=application.settings.api_keys,
        exposed=application.settings.exposed,
        metrics=application.metrics,
        randomness=randomness,
    )


def _spare_the_collector() -> None:
    """Take what lives as long as the process out of collections: a full one took 90 ms, in which nobody is answered."""
    gc.collect()
    gc.freeze()


def _routes(application: Application, pages: Sequence[Any]) -> list[Any]:
    """List what is served; the simulated phone only where no real provider is configured."""
    routes: list[Any] = [post_transaction, Transactions, Accounts, TwilioWebhook, AnswerPage]
    routes += [healthz, readyz, metrics, openapi, docs, *pages]
    return [*routes, Phone] if application.provider.simulated else routes


async def _warm_up(app: asgi.Application) -> None:
    """Walk the hot route up to the store: refused bodies touch nothing, and leave every cache filled."""

    async def receive() -> asgi.Message:
        return {"type": "http.request", "body": b'{"user_id": "warm", "amount": "0", "merchant": "up"}'}

    async def send(_: asgi.Message) -> None:
        return

    headers = [(b"content-type", b"application/json"), (b"host", b"localhost")]
    for method, path in (("POST", "/transaction"), ("GET", "/transaction/warm-up")) * _WARM_UPS:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        await app(scope, receive, send)
