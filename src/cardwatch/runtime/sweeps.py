"""What time alone brings about: questions expire, are put again, what happened is told, what nobody can send ends.

Each sweep looks with the reader first, so that nothing is written and nobody waits where nothing is due.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from cardwatch.runtime.background import Means, forever
from cardwatch.services.alerts import ALERT_CHANNEL
from cardwatch.services.escalate_challenges import escalate_challenges
from cardwatch.services.expire_challenges import expire_challenges
from cardwatch.services.put_away_messages import missing_channels, put_away_messages
from cardwatch.services.tell_payment_system import CALLBACK_CHANNEL, CONSUMER, start_telling, tell_payment_system

_SWEEP_S = 1.0
_TELL_S = 0.05
"""Between looks at the change log: how late a callback may leave."""
_PUT_AWAY_S = 3600.0
_PUT_AWAY_MAX = 10_000
"""Messages of one channel that are looked at in one turn."""
_PUT_AWAY_AT_ONCE = 100
"""Messages of one group, so that no payment waits long behind them."""

_log = structlog.get_logger(__name__)


class Sweeps:
    """Expiry, escalation and telling, beside the requests."""

    def __init__(self, means: Means, *, on_messages: Callable[[], None]) -> None:
        """Take what is needed; `on_messages` wakes what sends."""
        self._means = means
        self._on_messages = on_messages

    def start(self) -> Sequence[asyncio.Task[None]]:
        """Start the sweeps; cancel their tasks to stop."""
        works = [
            ("expiry", self._expire, _SWEEP_S),
            ("escalation", self._escalate, _SWEEP_S),
            ("putting away", self._put_away, _PUT_AWAY_S),
        ]
        sender = self._means.sender
        if sender.has(CALLBACK_CHANNEL) or sender.has(ALERT_CHANNEL):
            start_telling(store=self._means.store)
        if self._means.reader.cursor(CONSUMER) != 0:
            # Where nobody is told any more the position still moves, or the log could never be trimmed.
            works.append(("telling", self._tell, _TELL_S))
        return [
            asyncio.create_task(forever(name, work, partial(asyncio.sleep, pause_s))) for name, work, pause_s in works
        ]

    async def _expire(self) -> None:
        if not self._means.reader.expired_challenge_ids(now_ms=self._means.clock.now_ms(), limit=1):
            return
        expired = await self._means.writer.submit(
            lambda: expire_challenges(
                store=self._means.store,
                sender=self._means.sender,
                now_ms=self._means.clock.now_ms(),
                token=self._means.token(),
            )
        )
        if expired:
            self._means.metrics.count("challenges_total", {"outcome": "expired"}, len(expired))
            self._on_messages()

    async def _escalate(self) -> None:
        if not self._means.reader.challenge_ids_to_escalate(now_ms=self._means.clock.now_ms(), limit=1):
            return
        moved = await self._means.writer.submit(
            lambda: escalate_challenges(
                store=self._means.store,
                sender=self._means.sender,
                now_ms=self._means.clock.now_ms(),
                token=self._means.token(),
            )
        )
        if moved:
            self._means.metrics.count("challenges_total", {"outcome": "escalated"}, len(moved))
            self._on_messages()

    async def _put_away(self) -> None:
        """End what lies in the outbox for channels that this process does not have."""
        means = self._means
        for channel in missing_channels(means.sender):
            due = means.reader.due_message_ids(channel=channel, now_ms=means.clock.now_ms(), limit=_PUT_AWAY_MAX)
            count = 0
            for start in range(0, len(due), _PUT_AWAY_AT_ONCE):
                ids = due[start : start + _PUT_AWAY_AT_ONCE]
                count += await means.writer.submit(
                    partial(put_away_messages, ids, store=means.store, now_ms=means.clock.now_ms())
                )
            if count:
                _log.warning("messages_put_away", channel=channel, messages=count, why="channel not configured")

    async def _tell(self) -> None:
        if not self._means.reader.log(after=self._means.reader.cursor(CONSUMER), limit=1):
            return
        read = await self._means.writer.submit(
            lambda: tell_payment_system(
                store=self._means.store, sender=self._means.sender, now_ms=self._means.clock.now_ms()
            )
        )
        if read:
            self._on_messages()
