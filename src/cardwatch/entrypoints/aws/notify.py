"""The function that sends: woken with the ids of messages, it claims, sends and records each.

Ids are a hint. A message that is not due, was sent, or belongs to another worker's claim is left alone; what was
claimed and not finished is looked up once its lease has run out, by the sweep's next call.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import structlog

from cardwatch.domain.errors import OperatingError, StoreCorrupt
from cardwatch.domain.message import TO_DO, Direction
from cardwatch.entrypoints.aws.context import remaining_ms, request_id_of
from cardwatch.ports import Channel, NotSent, Store
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.invocation import invocation
from cardwatch.runtime.aws.outbound import channels_of
from cardwatch.runtime.aws.speaking import sender_of
from cardwatch.services.send_messages import Claim, Delivery, Recorded, claim_messages, deliver, record_delivery

AT_ONCE: Final = 8
"""Messages that are on their way at the same time."""

ROUNDS_MAX: Final = 3
"""Messages that follow from messages (the next channel, an alert) are sent in the same invocation, so often."""

RESERVE_MS: Final = 22_000
"""One send through Twilio takes 20 s at most; with less left none is begun, and the sweep comes back to it."""

DUE_MAX: Final = 200

_TROUBLE: Final = frozenset({Recorded.RETRY, Recorded.UNKNOWN, Recorded.FAILED})

_log = structlog.get_logger("cardwatch.notify")


def handle(event: Mapping[str, Any], context: Any, home: Home) -> dict[str, int]:
    """Send the messages that an event names, all that are due where it names none; returns how many were what.

    Raises what hinders it as a whole (settings, the store), so that Lambda tries again and then sets the event aside.
    """
    with invocation(home, request_id=request_id_of(context)):
        named = event.get("message_ids")
        ids = [str(each) for each in named] if isinstance(named, Sequence) and not isinstance(named, str) else None
        counted: dict[str, int] = {}
        for _ in range(ROUNDS_MAX):
            for channel in home.part(channels_of).values():
                _work_off(home, channel, ids, context, counted)
            ids = home.take_noted()
            if not ids:
                break
        return counted


def _work_off(home: Home, channel: Channel, ids: Sequence[str] | None, context: Any, counted: dict[str, int]) -> None:
    now_ms = home.clock.now_ms()
    if ids is None:
        ids = home.store.due_message_ids(channel=channel.name, now_ms=now_ms, limit=DUE_MAX)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for start in range(0, len(ids), AT_ONCE):
            if remaining_ms(context) < RESERVE_MS:
                _log.warning("messages_left", messages=len(ids) - start, channel=channel.name)
                return
            claims = _claim(home, channel, ids[start : start + AT_ONCE])
            for claim, delivery in zip(claims, threads.map(_deliver_by(channel), claims), strict=True):
                result = _record(home, channel, claim, delivery)
                counted[result] = counted.get(result, 0) + 1


def _claim(home: Home, channel: Channel, ids: Sequence[str]) -> list[Claim]:
    view = cast("Store", _Named(home.store, ids))
    return claim_messages(store=view, channel=channel, now_ms=home.clock.now_ms(), limit=len(ids))


def _deliver_by(channel: Channel) -> Any:
    return lambda claim: deliver(claim, channel=channel)


def _record(home: Home, channel: Channel, claim: Claim, delivery: Delivery) -> str:
    message = claim.message
    try:
        recorded = record_delivery(
            claim,
            delivery,
            store=home.store,
            sender=home.part(sender_of),
            now_ms=home.clock.now_ms(),
            token=home.token(),
        )
    except OperatingError as error:
        # The claim's lease runs out, and the message is looked up.
        _log.error("delivery_not_recorded", channel=channel.name, message_id=message.message_id, exc_info=error)
        return "not_recorded"
    labels = {"channel": channel.name, "kind": message.kind.value, "result": recorded.value}
    home.metrics.count("messages_total", labels)
    if isinstance(delivery, NotSent) and delivery.alarm:
        home.metrics.count("provider_alarms_total", {"channel": channel.name})
    if recorded in _TROUBLE:
        _log.warning(
            "message_not_accepted",
            message_id=message.message_id,
            attempts=message.attempts,
            error=getattr(delivery, "error", None),
            **labels,
        )
    return recorded.value


class _Named:
    """A store whose due messages are those of a list, so that none waits for an index to catch up with its table."""

    def __init__(self, store: Store, ids: Sequence[str]) -> None:
        self._store = store
        self._ids = ids

    def due_message_ids(self, *, channel: str, now_ms: int, limit: int) -> Sequence[str]:
        return [each for each in self._ids if self._is_due(each, channel, now_ms)][:limit]

    def _is_due(self, message_id: str, channel: str, now_ms: int) -> bool:
        try:
            message = self._store.message(message_id)
        except StoreCorrupt:
            return True  # who claims it sets it aside
        return (
            message is not None
            and message.direction is Direction.OUTBOUND
            and message.channel == channel
            and message.state in TO_DO
            and message.due_at_ms <= now_ms
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
