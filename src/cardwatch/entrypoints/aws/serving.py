"""What every request to the API passes, whichever function serves it: its id, its key, its route, its answer."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import structlog

from cardwatch.domain.errors import CardwatchError
from cardwatch.entrypoints.aws.cold_start import current_home
from cardwatch.entrypoints.aws.proxy import (
    ApiRequest,
    ApiResponse,
    Event,
    Route,
    find_route,
    problem_response,
    read_event,
    write_event,
)
from cardwatch.entrypoints.problem_details import HttpProblem, problem_of
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.invocation import invocation
from cardwatch.runtime.json_logs import configure_logging
from cardwatch.runtime.settings import Settings

KEYLESS = ("/webhook/", "/answer/", "/healthz/")
"""Beginnings of paths whose senders prove themselves by a signature, and of the one that tells nothing."""

Handle: TypeAlias = Callable[[Event, Any, Home], dict[str, Any]]

_log = structlog.get_logger("cardwatch.api")


def serve_event(handle: Handle, event: Event, context: Any) -> dict[str, Any]:
    """Answer a proxy event with the home of this process, with a problem where that cannot be had."""
    try:
        home = current_home()
    except CardwatchError as error:
        configure_logging("info", sys.stdout)
        # The sentence of a wrong setting names the setting, never its value; what AWS said is a code.
        _log.error("home_not_made", error=type(error).__name__, why=str(error))
        request = read_event(event)
        return write_event(problem_response(problem_of(error)), request_id=request.request_id)
    return handle(event, context, home)


def serve(event: Event, *, home: Home, routes: Sequence[Route]) -> dict[str, Any]:
    """Answer a proxy event; whatever happens inside, there is an answer."""
    request = read_event(event)
    with invocation(home, request_id=request.request_id):
        response = _answer(request, home=home, routes=routes)
        route = _named(request, routes)
        home.metrics.count(
            "http_requests_total", {"method": _method(request), "route": route, "status": str(response.status)}
        )
        _log.debug("request", method=_method(request), route=route, status=response.status)
    return write_event(response, request_id=request.request_id, headers=_cors(home.settings))


def _answer(request: ApiRequest, *, home: Home, routes: Sequence[Route]) -> ApiResponse:
    try:
        _admit(request, home)
        request.read_body()
        endpoint, parameters = find_route(request, routes)
        return endpoint(request, *parameters)
    except Exception as error:  # noqa: BLE001  the outermost place: whatever happened, the client gets an answer
        problem = problem_of(error)
        if problem.status >= 500:
            _log.error("request_failed", route=_named(request, routes), error=type(error).__name__, exc_info=error)
        return problem_response(problem)


def _admit(request: ApiRequest, home: Home) -> None:
    """Check the API key where keys are configured here; else API Gateway has checked its own already."""
    keys = home.settings.api_keys
    if not keys or f"{request.path}/".startswith(KEYLESS):
        return
    given = request.headers.get("x-api-key")
    if given is None:
        raise HttpProblem(401, "send an API key in X-API-Key", headers={"WWW-Authenticate": "X-API-Key"})
    if not home.key_is_known(given):
        raise HttpProblem(403, "the API key is not known")


def _cors(settings: Settings) -> dict[str, str]:
    """Return the headers that let a page of the configured origin read answers; preflights are API Gateway's."""
    origin = settings.cors_origin
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "X-Request-Id, Location, Retry-After",
        **({} if origin == "*" else {"Vary": "Origin"}),
    }


def _named(request: ApiRequest, routes: Sequence[Route]) -> str:
    """Name the route without the ids in it, for metrics and logs."""
    first = "/" + request.path.strip("/").split("/")[0]
    if first == "/webhook":
        first = request.path
    known = {route.pattern.partition("/{")[0] for route in routes}
    return first if first in known or f"{first}/twilio" in known else "other"


def _method(request: ApiRequest) -> str:
    return request.method if request.method in ("GET", "POST", "PUT", "DELETE") else "other"
