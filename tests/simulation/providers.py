"""What stands outside and takes messages, faultily: carriers, mail servers, push services, the payment system.

Each keeps what it took by our id, which is how a question that was asked twice is found. A `Line` is one worker's
connection to one of them: it gives back claims that would run out, as the adapters do, and may die in the middle.
"""

from collections.abc import Callable

from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageState
from cardwatch.domain.provider_post import DeliveryReport
from cardwatch.domain.times import HOUR_MS, MINUTE_MS, SECOND_MS
from cardwatch.ports import NotSent, OnUnknown, Sent, UnknownSent
from tests.builders import OWN_NUMBER
from tests.simulation.invariants import Watch
from tests.simulation.stage import Process, Stage

Answer = Sent | NotSent | UnknownSent

SEND_LONGEST_MS = 20 * SECOND_MS
"""Connecting and reading may take ten seconds each; so long after its start a send may still be taken."""

LISTED_AFTER_MS = 12 * SECOND_MS
"""So long after it was taken a text may be missing from the provider's list."""


class Provider:
    """Something that takes messages."""

    name = ""
    own_address = ""
    on_unknown = OnUnknown.LEAVE

    def __init__(self, stage: Stage, watch: Watch, *, span_ms: int) -> None:
        self._stage = stage
        self._watch = watch
        self._down = [(start, start + stage.random.randrange(10 * MINUTE_MS)) for start in self._outages(span_ms)]

    def send(self, message: Message) -> Answer:
        """Take a message or not, and say so or not."""
        stage = self._stage
        if any(start <= stage.now_ms < end for start, end in self._down):
            known = stage.chance(0.5)  # a circuit breaker may have seen it, and does not even try
            return NotSent("503 down", retryable=True, tried=not known, retry_after_ms=30_000 if known else None)
        if stage.chance(stage.dials.refused_for_now):
            wait_ms = stage.random.choice((None, 500, 5_000, 30_000))
            return NotSent("429 too many requests", retryable=True, retry_after_ms=wait_ms)
        refused = self.refusal(message)
        if refused is not None:
            return refused
        if stage.chance(stage.dials.unknown):
            if stage.chance(0.5):
                stage.at(stage.random.randrange(SEND_LONGEST_MS), lambda: self._late(message))
            return UnknownSent("timeout")
        return Sent(self._take(message))

    def find(self, message: Message) -> Sent | None:  # noqa: ARG002 - the port's
        """Say whether a message was taken."""
        raise OperatingError("nobody can be asked")

    def refusal(self, message: Message) -> NotSent | None:
        """Return why a message is not taken for good."""
        raise NotImplementedError

    def take(self, message: Message, sid: str) -> None:
        """Do with a message what it was taken for."""
        raise NotImplementedError

    def _late(self, message: Message) -> None:
        self._take(message)

    def _take(self, message: Message) -> str:
        number = self._watch.taken(message)
        sid = f"{self.name}:{message.message_id}:{number}"
        self._stage.count(f"taken by {self.name}")
        self._stage.tell(f"{self.name} takes {message.message_id}")
        self.take(message, sid)
        return sid

    def _outages(self, span_ms: int) -> list[int]:
        return [self._stage.now_ms + self._stage.random.randrange(span_ms) for _ in range(self._stage.dials.outages)]


class Carrier(Provider):
    """Texts: can be looked up, reports what became of them, knows who opted out."""

    name = "sms"
    own_address = OWN_NUMBER
    on_unknown = OnUnknown.LOOK_UP

    def __init__(self, stage: Stage, watch: Watch, *, span_ms: int) -> None:
        super().__init__(stage, watch, span_ms=span_ms)
        self.opted_out: set[str] = set()
        self.on_report: Callable[[DeliveryReport], None] = lambda _: None
        self.on_delivered: Callable[[Message], None] = lambda _: None
        self._listed: dict[str, tuple[str, int]] = {}

    def refusal(self, message: Message) -> NotSent | None:
        """Refuse landlines, opted-out numbers, and now and then everything."""
        if message.address in self.opted_out:
            return NotSent("21610 opted out", retryable=False, opted_out=True)
        if self._stage.fixed(message.address).random() < 0.03 and self._stage.dials.undelivered:
            return NotSent("21614 not a mobile number", retryable=False)
        if self._stage.chance(self._stage.dials.refused_for_now / 20):
            return NotSent("20003 not authenticated", retryable=False, alarm=True)
        return None

    def take(self, message: Message, sid: str) -> None:
        """Deliver a text, or not, and report it, or not."""
        stage = self._stage
        if stage.chance(stage.dials.record_lost):
            stage.count("records lost by the provider")
            self._watch.record_lost(message.message_id)
        else:
            listed_at_ms = stage.now_ms + stage.random.randrange(LISTED_AFTER_MS)
            self._listed.setdefault(message.message_id, (sid, listed_at_ms))
        final = self._outcome(message, sid)
        for state in (MessageState.ACCEPTED, MessageState.SENT):
            self._report(DeliveryReport(message_id=message.message_id, provider_sid=sid, state=state), 0)
        delay_ms = stage.random.randrange(500, 20_000)
        if final.state is MessageState.EXPIRED:
            delay_ms = max(0, (message.expires_at_ms or 0) - stage.now_ms)
        self._report(final, delay_ms)
        if final.state is MessageState.DELIVERED:
            stage.at(delay_ms, lambda: self.on_delivered(message))

    def find(self, message: Message) -> Sent | None:
        """Look a text up; it may be too early, and the provider cannot always say."""
        if self._stage.chance(self._stage.dials.look_up_fails):
            raise OperatingError("cannot say now")
        sid, listed_at_ms = self._listed.get(message.message_id, ("", 0))
        return Sent(sid) if sid and listed_at_ms <= self._stage.now_ms else None

    def _outcome(self, message: Message, sid: str) -> DeliveryReport:
        told = DeliveryReport(message_id=message.message_id, provider_sid=sid, state=MessageState.DELIVERED)
        if not self._stage.chance(self._stage.dials.undelivered):
            return told
        state, error = self._stage.random.choice(
            (
                (MessageState.UNDELIVERED, "30003 handset unreachable"),
                (MessageState.UNDELIVERED, "30003 handset unreachable"),
                (MessageState.UNDELIVERED, "30006 landline"),
                (MessageState.FAILED, "30007 filtered by the carrier"),
                (MessageState.EXPIRED, "30036 validity period expired"),
            )
        )
        return DeliveryReport(
            message_id=message.message_id,
            provider_sid=sid,
            state=state,
            error=error,
            once_more=error.startswith("30003"),
            alarm=error.startswith("30007"),
        )

    def _report(self, told: DeliveryReport, delay_ms: int) -> None:
        """Let a report come in, never, once, or several times, and in any order."""
        stage = self._stage
        copies = 0 if stage.chance(2 * stage.dials.webhook_lost) else 1 + stage.chance(stage.dials.webhook_repeated)
        for _ in range(copies):
            late_ms = stage.random.choice((0, 0, stage.random.randrange(10_000), stage.random.randrange(5 * MINUTE_MS)))
            stage.at(delay_ms + late_ms, lambda: self.on_report(told))


class MailServer(Provider):
    """E-mail: nobody can ask later what it has."""

    name = "email"
    own_address = "cards@bank.example"

    def __init__(self, stage: Stage, watch: Watch, *, span_ms: int) -> None:
        super().__init__(stage, watch, span_ms=span_ms)
        self.on_delivered: Callable[[Message], None] = lambda _: None

    def refusal(self, message: Message) -> NotSent | None:
        """Refuse mailboxes that are not there."""
        if self._stage.fixed(message.address).random() < 0.05 and self._stage.dials.undelivered:
            return NotSent("550 no such mailbox", retryable=False)
        return None

    def take(self, message: Message, sid: str) -> None:  # noqa: ARG002 - the port's
        """Deliver a mail, unless it is filtered away."""
        if not self._stage.chance(self._stage.dials.undelivered / 2):
            self._stage.at(self._stage.random.randrange(1_000, 60_000), lambda: self.on_delivered(message))


class PushService(Provider):
    """Notifications: a device that is gone is gone for good."""

    name = "push"
    own_address = "push"

    def __init__(self, stage: Stage, watch: Watch, *, span_ms: int) -> None:
        super().__init__(stage, watch, span_ms=span_ms)
        self.gone: set[str] = set()
        self.on_delivered: Callable[[Message], None] = lambda _: None

    def refusal(self, message: Message) -> NotSent | None:
        """Refuse devices that are gone; some go now."""
        if self._stage.chance(self._stage.dials.undelivered / 2):
            self.gone.add(message.address)
        if message.address in self.gone:
            return NotSent("404 device not registered any more", retryable=False, gone=True)
        return None

    def take(self, message: Message, sid: str) -> None:  # noqa: ARG002 - the port's
        """Show the notification."""
        self._stage.at(self._stage.random.randrange(500, 10_000), lambda: self.on_delivered(message))


class PaymentSystem(Provider):
    """Takes callbacks, each id as often as it comes; it may be away for hours."""

    name = "callback"
    own_address = "https://payments.example/hook"
    on_unknown = OnUnknown.RESEND

    def __init__(self, stage: Stage, watch: Watch, *, span_ms: int) -> None:
        super().__init__(stage, watch, span_ms=span_ms)
        self.told: dict[str, list[str]] = {}
        """Bodies by id."""
        if stage.dials.outages:
            away_ms = stage.now_ms + stage.random.randrange(span_ms)
            self._down.append((away_ms, away_ms + stage.random.randrange(2 * HOUR_MS)))

    def refusal(self, message: Message) -> NotSent | None:  # noqa: ARG002 - the port's
        """Refuse nothing for good."""
        return None

    def take(self, message: Message, sid: str) -> None:  # noqa: ARG002 - the port's
        """Keep what is told."""
        self.told.setdefault(message.message_id, []).append(message.body)


class Analysts(Provider):
    """Receive alerts."""

    name = "alert"
    own_address = "cardwatch"

    def refusal(self, message: Message) -> NotSent | None:  # noqa: ARG002 - the port's
        """Refuse nothing for good."""
        return None

    def take(self, message: Message, sid: str) -> None:
        """Read it."""


class Line:
    """One worker's connection to a provider."""

    def __init__(self, provider: Provider, process: Process, stage: Stage, watch: Watch) -> None:
        self.name = provider.name
        self.own_address = provider.own_address
        self.on_unknown = provider.on_unknown
        self.latency_ms = 0
        """How long the last call took."""
        self._provider = provider
        self._process = process
        self._stage = stage
        self._watch = watch

    def send(self, message: Message) -> Answer:
        """Hand a message over, or die before or after."""
        stage = self._stage
        self.latency_ms = stage.random.randrange(50, 3_000)
        waited_long = self._process.now_ms() + SEND_LONGEST_MS > message.due_at_ms
        if waited_long and self.on_unknown is not OnUnknown.LEAVE:
            stage.count("claims given back")
            return NotSent("claim ran out before it was sent", retryable=True, tried=False)
        stage.crash_point("before a send")
        answer = self._provider.send(message)
        stage.count(f"{self.name}: {type(answer).__name__}")
        stage.crash_point("after a send")
        if isinstance(answer, UnknownSent):
            self.latency_ms = SEND_LONGEST_MS
        return answer

    def find(self, message: Message) -> Sent | None:
        """Look a message up, or die before or after."""
        self.latency_ms = self._stage.random.randrange(50, 3_000)
        self._stage.crash_point("before a look-up")
        found = self._provider.find(message)
        self._stage.count("looked up: there" if found else "looked up: not there")
        self._stage.crash_point("after a look-up")
        return found
