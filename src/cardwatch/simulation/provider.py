"""Providers that live in memory: they take a message, fail at times, and let it arrive after a while."""

from collections.abc import Callable

import msgspec

from cardwatch.domain.challenge import ChannelName
from cardwatch.domain.message import Message, MessageKind, MessageState
from cardwatch.domain.provider_post import DeliveryReport
from cardwatch.ports import NotSent, OnUnknown, Sent, UnknownSent
from cardwatch.simulation.assumptions import Assumptions
from cardwatch.simulation.chance import Chance

ANSWER_MS = 300
"""How long a provider takes to answer a send."""

_SPREAD = 0.8
"""Of the logarithm of the time that a message is under way."""


class Taken(msgspec.Struct, frozen=True):
    """A message that a provider took."""

    transaction_id: str
    channel: str
    kind: MessageKind
    at_ms: int


class SimulatedProvider:
    """A channel; what becomes of a message is drawn by the message's id, so it is the same under every policy."""

    def __init__(
        self,
        name: str,
        own_address: str,
        *,
        assumptions: Assumptions,
        chance: Chance,
        now_ms: Callable[[], int],
        later: Callable[[int, Callable[[], None]], None],
        arrive: Callable[[Message], None],
        report: Callable[[DeliveryReport], None],
    ) -> None:
        """Take where the time comes from and where what happens later goes: (delay in ms, what happens)."""
        self.name = name
        self.own_address = own_address
        # As the real ones: a texting provider lists what it took, the others cannot be asked.
        self.on_unknown = OnUnknown.LOOK_UP if name == ChannelName.SMS else OnUnknown.LEAVE
        self.taken: dict[str, Taken] = {}
        self._assumptions = assumptions
        self._chance = chance
        self._now_ms = now_ms
        self._later = later
        self._arrive = arrive
        self._report = report

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Take a message, or fail; a device that is gone is known at once, a handset that is off only later."""
        attempt = (message.message_id, message.attempts)
        if self._chance.happens(self._assumptions.provider_failure_share, "failure", *attempt):
            if self._chance.happens(0.5, "proven", *attempt):
                return NotSent("503 unavailable", retryable=True)
            if self._chance.happens(0.5, "taken", *attempt):
                self._take(message)
            return UnknownSent("no answer")
        if self.name == ChannelName.PUSH and self._unreachable(message):
            return NotSent("404 no such device", retryable=False, gone=True)
        return Sent(self._take(message))

    def find(self, message: Message) -> Sent | None:
        """Look a message up among those taken."""
        return Sent(_sid(message)) if message.message_id in self.taken else None

    def _take(self, message: Message) -> str:
        taken = Taken(message.transaction_id or "", message.channel, message.kind, self._now_ms())
        self.taken[message.message_id] = taken
        attended = self._assumptions.on(self.name)
        delay_ms = self._chance.delay_ms(attended.arrival_median_s, _SPREAD, "arrival", message.message_id)
        self._later(ANSWER_MS + delay_ms, lambda: self._end(message))
        return _sid(message)

    def _end(self, message: Message) -> None:
        """Let a message arrive, or not; only texts are reported on."""
        arrives = not self._unreachable(message)
        if self.name == ChannelName.SMS:
            self._report(_told(message, arrives=arrives))
        if arrives:
            self._arrive(message)

    def _unreachable(self, message: Message) -> bool:
        share = self._assumptions.on(self.name).unreachable_share
        return self._chance.happens(share, "unreachable", self.name, message.address)


def _told(message: Message, *, arrives: bool) -> DeliveryReport:
    return DeliveryReport(
        message_id=message.message_id,
        provider_sid=_sid(message),
        state=MessageState.DELIVERED if arrives else MessageState.UNDELIVERED,
        error=None if arrives else "30003 handset unreachable",
        once_more=not arrives,
    )


def _sid(message: Message) -> str:
    return f"taken:{message.message_id}"
