"""Ending event streams when the process is told to stop.

A server that stops gracefully waits for open responses and does not tell them; a stream that never ends by itself
would hold it until its patience runs out. So the streams hear of the signal together with the server.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType


def call_at_stop(stop: Callable[[], None]) -> None:
    """Have `stop` called in the running loop at SIGINT or SIGTERM, besides the server's own handler.

    Does nothing where no server handles SIGTERM, or outside the main thread, where signals cannot be handled.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or not callable(signal.getsignal(signal.SIGTERM)):
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _both(before, loop, stop))


def _both(
    before: Callable[[int, FrameType | None], object], loop: asyncio.AbstractEventLoop, stop: Callable[[], None]
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # the loop is closed already: there is nothing left to end
            loop.call_soon_threadsafe(stop)
        before(number, frame)

    return handle
