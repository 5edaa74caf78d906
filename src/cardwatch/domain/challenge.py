"""A question to a cardholder, its states, and the moves between them.

    queued -> asked -> confirmed | denied | expired | unclear | undeliverable | opted_out
    queued -> expired | cancelled            asked -> cancelled
    confirmed -> denied                      (NO after YES)

A challenge's life runs from the decision to `expires_at_ms`; one still queued when it ends is expired too.
"""

from enum import StrEnum

import msgspec


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


OPEN: frozenset[ChallengeState] = frozenset({ChallengeState.QUEUED, ChallengeState.ASKED})

MOVES: frozenset[tuple[ChallengeState, ChallengeState]] = frozenset(
    {(ChallengeState.QUEUED, ChallengeState.ASKED), (ChallengeState.QUEUED, ChallengeState.EXPIRED)}
    | {(ChallengeState.QUEUED, ChallengeState.CANCELLED), (ChallengeState.QUEUED, ChallengeState.OPTED_OUT)}
    | {(ChallengeState.ASKED, end) for end in ChallengeState if end not in OPEN}
    | {(ChallengeState.CONFIRMED, ChallengeState.DENIED)}
)
"""Every move a challenge may make; a store refuses any other (an update may also keep the state)."""


class Challenge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question about one payment to one phone."""

    challenge_id: str
    transaction_id: str
    user_id: str
    phone: str
    """Where it is asked, E.164."""
    channel: str
    state: ChallengeState
    created_at_ms: int
    expires_at_ms: int
    risk_minor: int
    """Expected loss (score x amount, minor units): the order in which queued questions are asked."""
    code: str | None = None
    """Two digits a YES must carry, when another question went to that phone in the last 24 hours."""
    asked_at_ms: int | None = None
    sent_at_ms: int | None = None
    """When the provider took the question."""
    answered_at_ms: int | None = None
    answer: str | None = None
    """What the answer meant ("yes", "no", "stop"), never its text."""
    prompts: int = 0
    """How often an unclear answer was asked about again."""
    version: int = 1
