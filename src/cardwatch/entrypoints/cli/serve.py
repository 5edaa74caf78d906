"""`cardwatch serve`: the embedded server."""

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
import structlog
import typer

from cardwatch.domain.errors import CardwatchError
from cardwatch.entrypoints.cli.options import DataDir, settings_for
from cardwatch.entrypoints.cli.output import console, notes
from cardwatch.runtime.bootstrap import open_application, system_randomness
from cardwatch.runtime.json_logs import configure_logging
from cardwatch.runtime.settings import Settings

if TYPE_CHECKING:
    from cardwatch.entrypoints.http.app import BackgroundTask

_log = structlog.get_logger(__name__)

Host = Annotated[str | None, typer.Option(help="Address to listen on (CARDWATCH_HOST).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (CARDWATCH_PORT); 0 takes a free one.")]


def serve(data_dir: DataDir = None, host: Host = None, port: Port = None) -> None:
    """Serve the API on this machine until Ctrl-C."""
    settings = settings_for(data_dir, host=host, port=port)
    run_server(settings)


def run_server(settings: Settings, *, tasks: Sequence["BackgroundTask"] = ()) -> None:
    """Serve with these settings until the process is told to stop."""
    from cardwatch.console.pages import PAGES  # noqa: PLC0415  other commands need not pay 0.5 s for the web framework
    from cardwatch.entrypoints.http.app import make_app  # noqa: PLC0415
    from cardwatch.entrypoints.http.server import serve as serve_http  # noqa: PLC0415

    configure_logging(settings.log_level)
    listening, settings = listen(settings)
    application = open_application(settings)
    say_where(settings, simulated=application.provider.simulated)
    url = f"http://{settings.host}:{settings.port}"
    _log.info("serving", url=url, model_version=application.judges.scorer.model_version)
    serve_http(make_app(application, randomness=system_randomness(), pages=PAGES, tasks=tasks), listening)
    _log.info("stopped", url=url)


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """Open the listening socket before anything else; returns settings that know the port."""
    from cardwatch.entrypoints.http.server import bind  # noqa: PLC0415

    try:
        listening = bind(settings.host, settings.port)
    except OSError as error:
        raise CardwatchError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another with --port"
        ) from error
    return listening, msgspec.structs.replace(settings, port=listening.getsockname()[1])


def say_where(settings: Settings, *, simulated: bool) -> None:
    """Say where the server is to be found and who sends its texts."""
    texts = "simulated phone (no Twilio credentials are set)" if simulated else "Twilio"
    console.print(f"[bold]Cardwatch[/] on http://{settings.host}:{settings.port}  (Ctrl-C stops it)")
    console.print(f"  data   {settings.data_dir}\n  texts  {texts}\n  API    /docs, /openapi.json, /metrics")
    if settings.uses_twilio and not settings.exposed:
        notes.print("[bold yellow]warning:[/] without CARDWATCH_PUBLIC_URL no reply from Twilio can be verified")
