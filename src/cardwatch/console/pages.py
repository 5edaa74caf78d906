"""The routes of the page at `/`: the page itself, its files, and its event stream."""

import html
import re
from typing import Any, TypeAlias

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException, TooManyRequestsException
from litestar.response import Stream

from cardwatch.console.assets import load_assets, page_template
from cardwatch.console.feed import Feed, TooManyListeners
from cardwatch.domain.account_submission import parse_phone_number
from cardwatch.domain.errors import InvalidInput
from cardwatch.runtime.application import Application

AnyRequest: TypeAlias = Request[Any, Any, State]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "object-src 'none'"
)

_PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_POSITION = re.compile("[0-9]{1,18}", re.ASCII)


@get("/", sync_to_thread=False)
def page(request: AnyRequest) -> Response[str]:
    """Show payments as they are decided, beside the simulated phone where there is one."""
    application: Application = request.app.state.application
    values = {
        "version": load_assets().version,
        "simulated": "true" if application.provider.simulated else "false",
        "model": application.judges.scorer.model_version,
        "threshold": f"{application.judges.threshold:.2f}",
    }
    text = re.sub(r"\{([a-z]+)\}", lambda found: html.escape(values[found[1]]), page_template())
    return Response(text, media_type="text/html", headers=_PAGE_HEADERS)


@get("/static/{version:str}/{name:str}", sync_to_thread=False)
def static(request: AnyRequest) -> Response[bytes]:
    """Return one of the page's files; only names that were read from the package exist."""
    assets = load_assets()
    version, name = request.path_params["version"], request.path_params["name"]
    asset = assets.by_name.get(name) if version == assets.version else None
    if asset is None:
        raise NotFoundException
    return Response(asset.body, media_type=asset.media_type, headers=_FOR_EVER)


@get("/events", sync_to_thread=False)
def events(request: AnyRequest) -> Stream:
    """Stream what is decided and what becomes of it (server-sent events), from `Last-Event-ID` or `after` on.

    `phone` names the simulated phone whose texts the listener wants to hear of.
    """
    position = request.headers.get("last-event-id") or request.query_params.get("after") or ""
    after = int(position) if _POSITION.fullmatch(position) else None
    feed = feed_of(request.app.state)
    try:
        listener = feed.join(after=after, phone=_phone(request.query_params.get("phone")))
    except TooManyListeners as error:
        raise TooManyRequestsException from error
    return Stream(feed.events(listener), media_type="text/event-stream", headers=_STREAM_HEADERS)


def feed_of(state: State) -> Feed:
    """Return the one feed of an application, made when it is first asked for."""
    feed: Feed | None = state.get("console_feed")
    if feed is None:
        feed = state.console_feed = Feed(state.application)
    return feed


def _phone(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return parse_phone_number(text)
    except ValueError as error:
        raise InvalidInput.at("/phone", str(error)) from error


PAGES: list[Any] = [page, static, events]
"""The route handlers that the HTTP application mounts."""
