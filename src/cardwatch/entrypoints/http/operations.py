"""The routes that operators and their tools use."""

from litestar import Response, get
from litestar.datastructures import State

from cardwatch.entrypoints.http.docs_page import page
from cardwatch.entrypoints.http.openapi import document
from cardwatch.entrypoints.http.problems import HttpProblem
from cardwatch.runtime.application import Application


@get("/healthz", sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Say that the process is alive."""
    return {"status": "ok"}


@get("/readyz", sync_to_thread=False)
def readyz(state: State) -> dict[str, str]:
    """Say that model, features and store are warm: the next payment is as fast as any."""
    application: Application = state.application
    if not application.ready:
        raise HttpProblem(503, "still warming up", headers={"Retry-After": "1"})
    return {"status": "ready", "model_version": application.judges.scorer.model_version}


@get("/metrics", sync_to_thread=False)
def metrics(state: State) -> Response[bytes]:
    """Print the metrics in Prometheus' text format."""
    application: Application = state.application
    return Response(application.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


@get("/openapi.json", sync_to_thread=False)
def openapi() -> Response[bytes]:
    """Print the description of this API (OpenAPI 3.1)."""
    return Response(document(), media_type="application/json")


@get("/docs", sync_to_thread=False)
def docs() -> Response[str]:
    """Show the description of this API as a page."""
    return Response(page(), media_type="text/html")
