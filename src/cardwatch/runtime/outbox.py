"""The outbox at work: each channel in a lane of its own, so that a slow provider holds up no other.

Store calls are jobs of the one writer; only the providers are spoken to in threads. Who stops the process stops the
outbox before the writer: what a provider is being told is waited for, because nobody could find out afterwards what
became of an e-mail or a notification.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

from cardwatch.ports import Channel, NotSent
from cardwatch.runtime.background import Means, forever
from cardwatch.services.send_messages import Claim, Delivery, Recorded, claim_messages, deliver, record_delivery

STOP_S = 10.0
"""How long a stop waits for what is under way: with open requests, half of what Kubernetes grants by default."""

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
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the lanes."""
        works = [forever(f"outbox {lane.name}", lane.work, lane.rest) for lane in self._lanes]
        self._tasks = [asyncio.create_task(work) for work in works]

    async def stop(self, *, within_s: float = STOP_S) -> None:
        """Claim nothing more and let what is under way end and be recorded, while the writer still works.

        What has not ended within that time stays claimed: its lease says what is done about it after the next start.
        """
        await asyncio.gather(*(lane.stop(within_s=within_s) for lane in self._lanes))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
        self._turn = asyncio.Lock()
        """Held from a claim to the start of its deliveries, so that a stop loses none of them."""
        self._stopping = False

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
        async with self._turn:
            await self._work()

    async def stop(self, *, within_s: float) -> None:
        """Claim nothing more, put back what no provider has heard of yet, and wait for the rest."""
        self._stopping = True
        ends_at_s = asyncio.get_running_loop().time() + within_s
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ends_at_s), self._turn:
                pass
        left: set[asyncio.Task[None]] = set()
        if self._under_way:
            patience_s = max(0.0, ends_at_s - asyncio.get_running_loop().time())
            _, left = await asyncio.wait(self._under_way, timeout=patience_s)
        if left:
            _log.warning("deliveries_left_under_way", channel=self.name, deliveries=len(left))
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._threads.shutdown(wait=not left, cancel_futures=True)

    async def _work(self) -> None:
        free = _AT_ONCE - len(self._under_way)
        now_ms = self._means.clock.now_ms()
        if self._stopping or not free:
            return
        if not self._means.reader.due_message_ids(channel=self.name, now_ms=now_ms, limit=1):
            return
        claims = await self._means.writer.submit(lambda: self._claim(free))
        for claim in claims:
            task = asyncio.create_task(self._send(claim))
            self._under_way.add(task)
            task.add_done_callback(self._done)

    def _claim(self, limit: int) -> list[Claim]:
        if self._stopping:
            return []
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
        delivery: Delivery = await loop.run_in_executor(self._threads, self._deliver, claim)
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

    def _deliver(self, claim: Claim) -> Delivery:
        """Deliver, in a thread; from a stop on no send is begun, and what was claimed for one goes back untried."""
        if self._stopping and not claim.look_up:
            return NotSent("the server was stopping", retryable=True, tried=False)
        return deliver(claim, channel=self._channel)

    def _record(self, claim: Claim, delivery: Delivery) -> Recorded:
        return record_delivery(
            claim,
            delivery,
            store=self._means.store,
            sender=self._means.sender,
            now_ms=self._means.clock.now_ms(),
            token=self._means.token(),
        )
