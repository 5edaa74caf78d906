"""Work that goes on beside the requests: again and again, whatever happens to it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from cardwatch.domain.errors import OperatingError
from cardwatch.ports import Clock, Metrics, Randomness, Store, StoreReader
from cardwatch.runtime.writer import Writer
from cardwatch.services.reach import Sender

PAUSE_AFTER_TROUBLE_S = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What such work works with: it looks with the reader, and writes as jobs of the one writer."""

    store: Store
    reader: StoreReader
    writer: Writer
    sender: Sender
    clock: Clock
    randomness: Randomness
    metrics: Metrics

    def token(self) -> str:
        """Return fresh randomness for codes and links."""
        return self.randomness.token(16)


async def forever(name: str, work: Callable[[], Awaitable[None]], rest: Callable[[], Awaitable[None]]) -> None:
    """Work, rest, and work again until cancelled; trouble is logged and ends in a pause, never in an end."""
    while True:
        try:
            await work()
        except OperatingError as error:
            _log.warning("background_work_postponed", work=name, error=type(error).__name__)
            await asyncio.sleep(PAUSE_AFTER_TROUBLE_S)
        except Exception as error:  # noqa: BLE001  the work goes on with the next turn; the cause is logged
            _log.error("background_work_failed", work=name, exc_info=error)
            await asyncio.sleep(PAUSE_AFTER_TROUBLE_S)
        await rest()
