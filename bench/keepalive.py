"""Kept connections to the server, many at once: as little client as HTTP/1.1 allows, so that the server is measured."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

_HOST = "127.0.0.1"
_HEAD_BYTES_MAX = 16_384


class KeepAlive:
    """One kept connection; calls on it come one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader = reader
        self._writer = writer
        self._host = f"{_HOST}:{port}"

    async def call(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Send JSON; returns status and body. Raises OSError or EOFError when the server is gone."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
        return int(lines[0].split()[1]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[KeepAlive]:
    """Open a connection; raises OSError when nobody listens."""
    reader, writer = await asyncio.open_connection(_HOST, port, limit=_HEAD_BYTES_MAX)
    connection = KeepAlive(reader, writer, port)
    try:
        yield connection
    finally:
        connection.close()


async def on_connections(
    port: int, count: int, work: Iterable[object], do: Callable[[KeepAlive, object], Awaitable[None]]
) -> None:
    """Do all of the work, one piece at a time on each of several connections."""
    pieces = iter(work)

    async def serve() -> None:
        async with connected(port) as connection:
            for piece in pieces:
                await do(connection, piece)

    await asyncio.gather(*(serve() for _ in range(count)))
