"""How often what goes wrong, and by which rules is asked: the settings of a world."""

from decimal import Decimal
from typing import Any

import msgspec

from cardwatch.domain.challenge import ChannelName, DefaultAction, Step
from cardwatch.domain.escalation import AskingRules, Escalation, QuietHours, TextLimits
from cardwatch.domain.policy_conditions import Conditions

SMS, EMAIL, PUSH = ChannelName.SMS, ChannelName.EMAIL, ChannelName.PUSH


class Dials(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities of faults (0..1 each time there is occasion)."""

    crash: float = 0.004
    """Before, and again after, every write and every call of a provider."""
    crash_at: int = 0
    """The one step at which a crash comes instead, counted from 1; 0: by `crash`."""
    store_unavailable: float = 0.003
    refused_for_now: float = 0.06
    """429 and 5xx that say that nothing was taken."""
    unknown: float = 0.10
    """Timeouts and 5xx that say nothing; half of them were taken."""
    record_lost: float = 0.004
    """The provider forgets a text that it took, or lists it too late."""
    look_up_fails: float = 0.15
    undelivered: float = 0.10
    webhook_lost: float = 0.05
    webhook_repeated: float = 0.20
    skew_ms: int = 1_000
    """Each process's clock is off by up to this much, so that two differ by twice as much."""
    stall: float = 0.03
    """A worker stands still for longer than its lease before it sends or before it records."""
    race: float = 0.0
    """Something else happens between what a process has read and what it writes; off where one process writes."""
    outages: int = 3
    """Times at which a provider refuses everything for minutes."""

    @classmethod
    def storm(cls, **fields: Any) -> "Dials":
        """Return a world in which hardly anything works at the first attempt."""
        rates = {
            "crash": 0.02,
            "store_unavailable": 0.01,
            "refused_for_now": 0.15,
            "unknown": 0.45,
            "record_lost": 0.0,
            "look_up_fails": 0.3,
            "undelivered": 0.2,
            "webhook_lost": 0.15,
            "webhook_repeated": 0.5,
            "stall": 0.35,
        }
        return cls(**{**rates, **fields})

    @classmethod
    def calm(cls, **fields: Any) -> "Dials":
        """Return a world in which nothing goes wrong but what is named."""
        rates = {field: 0 for field in cls.__struct_fields__ if field != "crash_at"}
        return cls(**{**rates, **fields})


def _amounts(at_least: str, below: str) -> Conditions:
    return Conditions(currency="USD", amount_at_least=Decimal(at_least), amount_below=Decimal(below))


BY_AMOUNT = AskingRules(
    escalations=(
        Escalation(
            name="urgent",
            when=_amounts("5", "20"),
            steps=(Step(SMS, remind_after_s=20, wait_s=60), Step(EMAIL)),
            expires_after_s=120,
            default_action=DefaultAction.DECLINE,
        ),
        Escalation(name="text", when=_amounts("20", "100"), steps=(Step(SMS, remind_after_s=240),)),
        Escalation(
            name="everything",
            when=_amounts("100", "1000"),
            steps=(Step(PUSH, wait_s=60), Step(SMS, remind_after_s=300, wait_s=600), Step(EMAIL)),
            expires_after_s=2400,
            default_action=DefaultAction.DECLINE,
        ),
        Escalation(name="mail", when=_amounts("1000", "3000"), steps=(Step(EMAIL, remind_after_s=600),)),
        Escalation(
            name="insistent",
            when=_amounts("3000", "5000"),
            steps=(Step(SMS, remind_after_s=60, wait_s=120), Step(PUSH, wait_s=60), Step(SMS, remind_after_s=300)),
            expires_after_s=7200,
        ),
    ),
    texts=TextLimits(number_unchanged_for_s=3600, amount_at_most={"USD": Decimal(8000)}),
)
"""A policy for every band of amounts; what is above them is asked in the built-in way."""

TEXTS_ONLY = AskingRules(
    escalations=(Escalation(name="text", steps=(Step(SMS, remind_after_s=300),), expires_after_s=1800),),
    quiet_hours=QuietHours(start="12:00", end="18:30"),
)
"""The same for all, with quiet hours that fall into the run."""

NO_QUIET = AskingRules(
    escalations=(
        Escalation(
            name="all",
            steps=(Step(PUSH, wait_s=30), Step(SMS, remind_after_s=120, wait_s=300), Step(EMAIL, remind_after_s=300)),
            default_action=DefaultAction.DECLINE,
        ),
    ),
    quiet_hours=None,
)

BUILT_IN = AskingRules()

RULES = (BY_AMOUNT, BUILT_IN, TEXTS_ONLY, NO_QUIET)
"""A seed follows one of them."""
