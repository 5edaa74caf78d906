"""How a question is put, as data: by which channels in which order, when again, how long, and what silence means.

    {"escalations": [
       {"name": "large", "when": {"amount_at_least": "1000.00", "currency": "USD"},
        "steps": [{"channel": "push", "wait_s": 120},
                  {"channel": "sms", "remind_after_s": 300, "wait_s": 900},
                  {"channel": "email"}],
        "expires_after_s": 3600, "default_action": "decline"}],
     "quiet_hours": {"start": "21:00", "end": "08:00"},
     "texts": {"number_unchanged_for_s": 86400, "amount_at_most": {"USD": "5000.00"}}}

The first escalation whose conditions hold is followed, else the built-in one: by text, ten minutes later by push
notification, five minutes later by e-mail, as far as the account has them. Silence never approves.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cardwatch.domain.challenge import ChannelName, DefaultAction, Step
from cardwatch.domain.money import Money
from cardwatch.domain.policy_conditions import Conditions
from cardwatch.domain.transaction import Transaction

STEPS_MAX = 6

_ClockTime = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")]


class Escalation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named order of channels for the payments that meet its conditions."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=STEPS_MAX)]
    when: Conditions = Conditions()
    expires_after_s: Annotated[int, msgspec.Meta(ge=60, le=36_000)] | None = None
    """Life of the question from the decision on; None: CARDWATCH_CHALLENGE_TTL_S."""
    default_action: DefaultAction = DefaultAction.REVIEW


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hours, by the account's own clock, in which nobody is reminded; the end may lie on the next day."""

    start: _ClockTime = "21:00"
    end: _ClockTime = "08:00"

    def end_after(self, now_ms: int, *, time_zone: str) -> int:
        """Return when a reminder that is due now may go out (ms): now, or when these hours end."""
        local = _local(now_ms, time_zone)
        start, end = _on(local, self.start), _on(local, self.end)
        if start <= end:
            quiet = start <= local < end
        else:
            quiet = local >= start or local < end
            end += timedelta(days=1) if local >= start else timedelta()
        return int(end.timestamp() * 1000) if quiet else now_ms


class TextLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a text is too weak a proof of who answers; both limits are off unless they are set."""

    number_unchanged_for_s: Annotated[int, msgspec.Meta(ge=0, le=90 * 86_400)] = 0
    """No text to a number that took another one's place more recently (a SIM swap may be behind it)."""
    amount_at_most: dict[str, Decimal] = {}
    """No text about more than this, in major units by currency."""

    def allow_amount(self, amount: Money) -> bool:
        """Say whether a payment of this amount may be asked about by text."""
        limit = self.amount_at_most.get(amount.currency)
        return limit is None or Decimal(amount.decimal) <= limit

    def allow_number(self, changed_at_ms: int | None, *, now_ms: int) -> bool:
        """Say whether a number that changed then may be texted now."""
        return changed_at_ms is None or now_ms - changed_at_ms >= self.number_unchanged_for_s * 1000


DEFAULT_ESCALATION = Escalation(
    name="default",
    steps=(Step(ChannelName.SMS, wait_s=600), Step(ChannelName.PUSH, wait_s=300), Step(ChannelName.EMAIL)),
)


class AskingRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that says how cardholders are asked."""

    escalations: tuple[Escalation, ...] = ()
    quiet_hours: QuietHours | None = QuietHours()
    """None (`null`): reminders go out at any hour."""
    texts: TextLimits = TextLimits()

    def escalation_for(self, transaction: Transaction, score: float | None) -> Escalation:
        """Return the first escalation whose conditions hold, else the built-in one."""
        held = (one for one in self.escalations if one.when.hold(transaction, score))
        return next(held, DEFAULT_ESCALATION)


def _local(now_ms: int, time_zone: str) -> datetime:
    instant = datetime.fromtimestamp(now_ms / 1000, UTC)
    try:
        return instant.astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError):
        return instant


def _on(day: datetime, clock: str) -> datetime:
    hour, minute = clock.split(":")
    return day.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
