"""What keeps the store in shape while it serves: the write-ahead log is carried over, the read log is trimmed."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from cardwatch.domain.errors import OperatingError
from cardwatch.domain.times import DAY_MS
from cardwatch.ports import Checkpointer, Clock, Store
from cardwatch.runtime.writer import Writer
from cardwatch.services.trim_log import ENTRIES_MAX, trim_read_log

_CHECKPOINT_S = 0.05
_TRIM_S = 600.0


class Housekeeping:
    """Runs beside the requests; none of them ever waits for it."""

    def __init__(
        self, *, store: Store, writer: Writer, checkpointer: Checkpointer, clock: Clock, retention_days: int
    ) -> None:
        self._store = store
        self._writer = writer
        self._checkpointer = checkpointer
        self._clock = clock
        self._retention_ms = retention_days * DAY_MS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")

    def start(self) -> Sequence[asyncio.Task[None]]:
        """Start the standing tasks; cancel them to stop."""
        return [asyncio.create_task(self._checkpoint()), asyncio.create_task(self._trim())]

    def close(self) -> None:
        """Let go of the file, after the tasks have ended."""
        self._thread.shutdown()
        self._checkpointer.close()

    async def _checkpoint(self) -> None:
        while True:
            await asyncio.sleep(_CHECKPOINT_S)
            with suppress(OperatingError):
                await asyncio.get_running_loop().run_in_executor(self._thread, self._checkpointer.run)

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(_TRIM_S)
            with suppress(OperatingError):
                while await self._writer.submit(self._trim_once) >= ENTRIES_MAX:
                    continue  # each turn is a group of its own, so requests get in between

    def _trim_once(self) -> int:
        return trim_read_log(store=self._store, now_ms=self._clock.now_ms(), retention_ms=self._retention_ms)
