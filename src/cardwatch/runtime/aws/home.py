"""What a function works with: settings, store, clock, metrics, a way to the next function; other parts when asked for.

The same handlers run on any store: tests and a local harness give another one than DynamoDB.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

import msgspec
import structlog

from cardwatch.domain.transaction import TransactionRecord
from cardwatch.ports import Clock, Randomness, Store
from cardwatch.runtime.aws.consequences import ConsequentStore, Follow
from cardwatch.runtime.aws.telemetry import EmfMetrics
from cardwatch.runtime.settings import Settings

Part = TypeVar("Part")

IDS_MAX = 500
"""Ids in one invocation of Notify: an asynchronous event may have 256 KiB (AWS, Lambda quotas), an id has some 100."""

_log = structlog.get_logger(__name__)


class Invoker(Protocol):
    """Calls another function without waiting for what comes of it."""

    def invoke(self, function: str, payload: bytes) -> None:
        """Hand an event over; raises OperatingError where it was not taken."""
        ...


ReadImage = Callable[[Mapping[str, Any]], TransactionRecord | None]
"""Reads a payment from a stream record, None where it holds none."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a home stands on: where things are kept, what time it is, who can be called."""

    store: Store
    clock: Clock
    randomness: Randomness
    invoker: Invoker | None = None
    read_image: ReadImage | None = None
    """Of a store whose stream carries whole payments; without it they are read from the store."""


class Home:
    """The composition of one process; serves one invocation at a time, as Lambda does."""

    def __init__(
        self, settings: Settings, world: World, *, metrics: EmfMetrics, follow: Callable[["Home"], Follow] | None = None
    ) -> None:
        """`follow` makes what says which other changes a list of them brings about; it is asked when one is applied."""
        self.settings = settings
        self.metrics = metrics
        self.clock = world.clock
        self.randomness = world.randomness
        self.read_image = world.read_image
        self._invoker = world.invoker
        self._parts: dict[Callable[[Home], Any], Any] = {}
        self._consequent = ConsequentStore(
            world.store,
            follow=None if follow is None else self.part(follow),
            on_race=lambda: metrics.count("state_races_total"),
        )
        self.store: Store = cast("Store", self._consequent)
        """Writes with each list what follows from it, and notes the messages that it puts into the outbox."""
        self._keys = [
            value.encode() for name, secret in settings.api_keys.items() for value in (secret, f"{name}:{secret}")
        ]

    def part(self, make: Callable[["Home"], Part]) -> Part:
        """Return what a function makes of this home, made once."""
        if make not in self._parts:
            self._parts[make] = make(self)
        made: Part = self._parts[make]
        return made

    def token(self) -> str:
        """Return fresh randomness for codes and links."""
        return self.randomness.token(16)

    def key_is_known(self, given: str) -> bool:
        """Say whether an API key is one of the configured ones; all are compared, always."""
        return bool(sum(hmac.compare_digest(given.encode("utf-8", "replace"), known) for known in self._keys))

    def take_noted(self) -> list[str]:
        """Return the ids of the messages put into the outbox since the last time."""
        noted, self._consequent.noted = self._consequent.noted, []
        return noted

    def announce(self) -> None:
        """Wake Notify for what this invocation put into the outbox; what is lost here is found by the sweep."""
        self.wake_notify(self.take_noted())

    def wake_notify(self, message_ids: Sequence[str]) -> None:
        """Invoke Notify for messages, if there are any; failing at that loses nothing but time."""
        function = self.settings.notify_lambda_name
        for start in range(0, len(message_ids), IDS_MAX):
            ids = message_ids[start : start + IDS_MAX]
            result = "nobody" if function is None or self._invoker is None else _invoke(self._invoker, function, ids)
            self.metrics.count("notify_invocations_total", {"result": result})


def _invoke(invoker: Invoker, function: str, message_ids: Sequence[str]) -> str:
    try:
        invoker.invoke(function, msgspec.json.encode({"message_ids": list(message_ids)}))
    except Exception as error:  # noqa: BLE001  what was decided stands; the sweep sends what this did not
        _log.warning("notify_not_invoked", messages=len(message_ids), error=type(error).__name__)
        return "failed"
    return "taken"
