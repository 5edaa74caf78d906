"""The outbox at work: each channel in a lane of its own, so that a slow provider holds up no other.

Store calls are jobs of the one writer; only the providers are spoken to in threads.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from cardwatch.ports import Channel, NotSent
from cardwatch.runtime.background import Means, forever
from cardwatch.services.send_messages import Claim, Delivery, Recorded, claim_messages, deliver, record_delivery

_AT_ONCE = 8
"""Messages of one channel that are on their way to its provider at the same time."""

_IDLE_S = 0.5
"""How long a lane rests when nothing wakes it: retries and look-ups fall due without a signal."""

_TROUBLE = frozenset({Recorded.RETRY, Recorded.UNKNOWN, Recorded.FAILED})

_log = structlog.get_logger(__name__)


class Outbox:
    """Sends what is due, on every channel that this process has."""

    def __init__(self, means: Means, channels: Sequence[Channel]) -> None:
        self.sender = means.sender
        self._lanes = [Lane(means, channel) for channel in channels]

    def start(self) -> Sequence[asyncio.Task[None]]:
        """Start the lanes; cancel their tasks to stop."""
        return [asyncio.create_task(forever(f"outbox {lane.name}", lane.work, lane.rest)) for lane in self._lanes]

    def wake(self) -> None:
        """Look at the outbox now."""
        for lane in self._lanes:
            lane.wake()


class Lane:
    """The outbox of one channel."""

    def __init__(self, means: Means, channel: Channel) -> None:
        self.name = channel.name
        self._means = means
        self._channel = channel
        self._wake = asyncio.Event()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=f"outbox-{channel.name}")
        self._under_way: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    async def rest(self) -> None:
        """Wait for a signal, or a while."""
        try:
            await asyncio.wait_for(self._wake.wait(), _IDLE_S)
        except TimeoutError:
            return
        self._wake.clear()

    async def work(self) -> None:
        """Claim as much as there are hands for, and let each message go its way."""
        free = _AT_ONCE - len(self._under_way)
        now_ms = self._means.clock.now_ms()
        if not free or not self._means.reader.due_message_ids(channel=self.name, now_ms=now_ms, limit=1):
            return
        claims = await self._means.writer.submit(lambda: self._claim(free))
        for claim in claims:
            task = asyncio.create_task(self._send(claim))
            self._under_way.add(task)
            task.add_done_callback(self._done)

    def _claim(self, limit: int) -> list[Claim]:
        return claim_messages(
            store=self._means.store, channel=self._channel, now_ms=self._means.clock.now_ms(), limit=limit
        )

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # The claim's lease runs out, and the message is taken up again.
            _log.error("delivery_not_recorded", channel=self.name, exc_info=error)

    async def _send(self, claim: Claim) -> None:
        loop = asyncio.get_running_loop()
        delivery: Delivery = await loop.run_in_executor(self._threads, lambda: deliver(claim, channel=self._channel))
        recorded = await self._means.writer.submit(lambda: self._record(claim, delivery))
        kind = claim.message.kind.value
        self._means.metrics.count("messages_total", {"channel": self.name, "kind": kind, "result": recorded.value})
        if isinstance(delivery, NotSent) and delivery.alarm:
            self._means.metrics.count("provider_alarms_total", {"channel": self.name})
        if recorded in _TROUBLE:
            _log.warning(
                "message_not_accepted",
                channel=self.name,
                message_id=claim.message.message_id,
                result=recorded.value,
                attempts=claim.message.attempts,
                error=getattr(delivery, "error", None),
            )

    def _record(self, claim: Claim, delivery: Delivery) -> Recorded:
        return record_delivery(
            claim,
            delivery,
            store=self._means.store,
            sender=self._means.sender,
            now_ms=self._means.clock.now_ms(),
            token=self._means.token(),
        )
