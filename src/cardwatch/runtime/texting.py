"""What goes on beside the requests: texts leave the outbox, and unanswered questions expire.

Store calls are jobs of the one writer; only the provider is spoken to in threads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from cardwatch.domain.errors import OperatingError
from cardwatch.ports import Channel, Clock, Metrics, Randomness, Store, StoreReader
from cardwatch.runtime.writer import Writer
from cardwatch.services.ask_cardholder import Sender
from cardwatch.services.expire_challenges import expire_challenges
from cardwatch.services.send_messages import Claim, Delivery, Recorded, claim_messages, deliver, record_delivery

_CLAIMS_MAX = 32
_SENDERS = 8
_IDLE_S = 0.5
"""How long the outbox rests when nothing wakes it: retries and look-ups fall due without a signal."""

_SWEEP_S = 1.0


_TROUBLE = frozenset({Recorded.RETRY, Recorded.UNKNOWN, Recorded.FAILED})

_log = structlog.get_logger(__name__)


class Texting:
    """Sends what is due, expires what was not answered."""

    def __init__(
        self,
        *,
        store: Store,
        reader: StoreReader,
        writer: Writer,
        channel: Channel,
        sender: Sender,
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
    ) -> None:
        self.channel = channel
        self.sender = sender
        self._store = store
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._randomness = randomness
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._threads = ThreadPoolExecutor(_SENDERS, thread_name_prefix="texts")

    def start(self) -> Sequence[asyncio.Task[None]]:
        """Start the standing tasks; cancel them to stop."""
        return [
            asyncio.create_task(self._forever("outbox", self._send_due, self._rest)),
            asyncio.create_task(self._forever("expiry", self._expire, lambda: asyncio.sleep(_SWEEP_S))),
        ]

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    async def _forever(
        self, name: str, work: Callable[[], Awaitable[None]], rest: Callable[[], Awaitable[None]]
    ) -> None:
        while True:
            try:
                await work()
            except OperatingError as error:
                _log.warning("background_work_postponed", work=name, error=type(error).__name__)
                await asyncio.sleep(_SWEEP_S)
            except Exception as error:  # noqa: BLE001  the work goes on with the next turn; the cause is logged
                _log.error("background_work_failed", work=name, exc_info=error)
                await asyncio.sleep(_SWEEP_S)
            await rest()

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), _IDLE_S)
        except TimeoutError:
            return
        self._wake.clear()

    async def _send_due(self) -> None:
        if not self._reader.due_messages(now_ms=self._clock.now_ms(), limit=1):
            return
        claims = await self._writer.submit(
            lambda: claim_messages(store=self._store, now_ms=self._clock.now_ms(), limit=_CLAIMS_MAX)
        )
        await asyncio.gather(*(self._send(claim) for claim in claims))
        if len(claims) == _CLAIMS_MAX:
            self._wake.set()

    async def _send(self, claim: Claim) -> None:
        loop = asyncio.get_running_loop()
        delivery: Delivery = await loop.run_in_executor(self._threads, lambda: deliver(claim, channel=self.channel))
        recorded = await self._writer.submit(
            lambda: record_delivery(
                claim,
                delivery,
                store=self._store,
                sender=self.sender,
                now_ms=self._clock.now_ms(),
                token=self._randomness.token(8),
            )
        )
        self._metrics.count("texts_total", {"kind": claim.message.kind.value, "result": recorded.value})
        if recorded in _TROUBLE:
            _log.warning(
                "text_not_accepted",
                message_id=claim.message.message_id,
                result=recorded.value,
                attempts=claim.message.attempts,
                error=getattr(delivery, "error", None),
            )

    async def _expire(self) -> None:
        if not self._reader.expired_challenges(now_ms=self._clock.now_ms(), limit=1):
            return
        expired = await self._writer.submit(
            lambda: expire_challenges(
                store=self._store, sender=self.sender, now_ms=self._clock.now_ms(), token=self._randomness.token(8)
            )
        )
        if expired:
            self._metrics.count("challenges_total", {"outcome": "expired"}, len(expired))
            self.wake()
