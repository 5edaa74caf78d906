"""A question to a cardholder, its states, and the moves between them.

    queued -> asked -> confirmed | denied | expired | unclear | undeliverable | opted_out
    queued -> expired | cancelled            asked -> cancelled
    confirmed -> denied                      (NO after YES)

A challenge's life runs from the decision to `expires_at_ms`; one still queued when it ends is expired too.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

from cardwatch.domain.times import HOUR_MS


class ChallengeState(StrEnum):
    """Where a question stands."""

    QUEUED = "queued"
    """Another question stands on that phone; this one waits."""
    ASKED = "asked"
    """The question was handed to the outbox; answers to it count."""
    CONFIRMED = "confirmed"
    DENIED = "denied"
    EXPIRED = "expired"
    UNCLEAR = "unclear"
    """Answers stayed unclear after one more prompt; an analyst has it."""
    UNDELIVERABLE = "undeliverable"
    OPTED_OUT = "opted_out"
    CANCELLED = "cancelled"


_SUFFIX = ":challenge"

_Seconds = Annotated[int, msgspec.Meta(ge=10, le=36_000)]

LIFE_MAX_MS = 10 * HOUR_MS
"""The longest life that a question may be given."""

OPEN: frozenset[ChallengeState] = frozenset({ChallengeState.QUEUED, ChallengeState.ASKED})

MOVES: frozenset[tuple[ChallengeState, ChallengeState]] = frozenset(
    {(ChallengeState.QUEUED, ChallengeState.ASKED), (ChallengeState.QUEUED, ChallengeState.EXPIRED)}
    | {(ChallengeState.QUEUED, ChallengeState.CANCELLED), (ChallengeState.QUEUED, ChallengeState.OPTED_OUT)}
    | {(ChallengeState.ASKED, end) for end in ChallengeState if end not in OPEN}
    | {(ChallengeState.CONFIRMED, ChallengeState.DENIED)}
)
"""Every move a challenge may make; a store refuses any other (an update may also keep the state)."""


class ChannelName(StrEnum):
    """The ways to reach a cardholder."""

    SMS = "sms"
    EMAIL = "email"
    PUSH = "push"


class DefaultAction(StrEnum):
    """What becomes of a payment whose holder did not answer in time."""

    REVIEW = "review"
    DECLINE = "decline"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One channel of an escalation; seconds count from when the question is put on it."""

    channel: ChannelName
    wait_s: _Seconds | None = None
    """How long before the next channel is tried; None: this one is waited for to the end."""
    remind_after_s: _Seconds | None = None
    """When the question is put once more on the same channel; None: it is not."""


def challenge_id_of(transaction_id: str) -> str:
    """Return the id of the challenge about a payment."""
    return f"{transaction_id}{_SUFFIX}"


def payment_asked_about(challenge_id: str) -> str:
    """Return the id of the payment that a challenge is about, also of one that cannot be read."""
    return challenge_id.removesuffix(_SUFFIX)


class Challenge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question about one payment, put to its holder on one channel after the other."""

    challenge_id: str
    transaction_id: str
    user_id: str
    phone: str
    """The number whose turn it waits for and whose replies answer it, E.164; empty if it is not asked by text."""
    channel: str
    """Where it is being asked now, or will be first."""
    state: ChallengeState
    created_at_ms: int
    expires_at_ms: int
    risk_minor: int
    """Expected loss (score x amount, minor units): the order in which queued questions are asked."""
    code: str | None = None
    """Two digits a YES must carry, when another question went to that phone in the last 24 hours."""
    asked_at_ms: int | None = None
    sent_at_ms: int | None = None
    """When a provider first took the question."""
    steps: tuple[Step, ...] = (Step(ChannelName.SMS),)
    """The channels that can reach its holder, in the order in which they are tried."""
    step: int = 0
    """Which of them is under way."""
    step_at_ms: int | None = None
    """Since when."""
    reminded: bool = False
    """Whether this step's reminder was sent, or passed over."""
    act_at_ms: int | None = None
    """When its reminder or its next channel is due, None if neither is to come."""
    default_action: DefaultAction = DefaultAction.REVIEW
    """What becomes of the payment when nobody answers in time."""
    answered_at_ms: int | None = None
    answer: str | None = None
    """What the answer meant ("yes", "no", "stop"), never its text."""
    prompts: int = 0
    """How often an unclear answer was asked about again."""
    version: int = 1
