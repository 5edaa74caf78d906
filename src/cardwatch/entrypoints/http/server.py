"""Running the HTTP application on uvicorn until it is told to stop."""

import asyncio
import socket

import uvicorn

from cardwatch.entrypoints.http import asgi

GRACE_S = 5
"""How long open requests and streams may take to end once the process is told to stop."""

_BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """Open the listening socket, which lets clients wait from now on; raises OSError when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def serve(app: asgi.Application, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    server = make_server(app)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listening]))


def make_server(app: asgi.Application) -> uvicorn.Server:
    """Make the server without starting it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="httptools",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_S,
            backlog=_BACKLOG,
        )
    )


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not to be had on every platform
    except ImportError:
        return None
    return uvloop.Loop
