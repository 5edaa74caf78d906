"""Cardwatch's server with one more route to compare with, `POST /bench/validate`.

It decodes and checks a payment's body as `POST /transaction` does, and stores nothing.

    .venv/bin/python -m bench.trivial_server --data-dir DIR --port 8400
"""

import argparse
from pathlib import Path

import msgspec
from litestar import asgi
from litestar.types import Receive, Scope, Send

from cardwatch.console.pages import PAGES
from cardwatch.domain.submission import Submission, check_submission
from cardwatch.entrypoints.http.app import make_app
from cardwatch.entrypoints.http.bodies import require_json
from cardwatch.entrypoints.http.edge import respond
from cardwatch.entrypoints.http.problems import MEDIA_TYPE, problem_body, problem_of
from cardwatch.entrypoints.http.server import bind, serve
from cardwatch.runtime.bootstrap import open_application, system_randomness
from cardwatch.runtime.json_logs import configure_logging
from cardwatch.runtime.settings import read_settings

_decode = msgspec.json.Decoder(Submission).decode


@asgi("/bench/validate", copy_scope=False)
async def validate(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 201 to what `POST /transaction` would take."""
    headers = dict(scope["headers"])
    try:
        require_json(headers.get(b"content-type", b"").decode("latin-1"))
        message = await receive()
        body: bytes = message.get("body", b"")  # type: ignore[assignment]
        check_submission(_decode(body))
        await respond(send, 201, b'{"checked":true}', "application/json", {})  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001  whatever is wrong with a body is counted by who sent it
        problem = problem_of(error)
        await respond(send, problem.status, problem_body(problem), MEDIA_TYPE, problem.headers)  # type: ignore[arg-type]


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    settings = read_settings({}, data_dir=options.data_dir, port=options.port)
    configure_logging(settings.log_level)
    listening = bind(settings.host, settings.port)
    app = make_app(open_application(settings), randomness=system_randomness(), pages=[*PAGES, validate])
    serve(app, listening)


if __name__ == "__main__":
    main()
