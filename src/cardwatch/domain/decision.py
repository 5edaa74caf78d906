"""What was decided about a payment, by what, and why."""

from enum import StrEnum

import msgspec

FALLBACK_MARK = "; fallback"
"""What ends the version of a model that stood in for one that could not be reached."""


class Outcome(StrEnum):
    """What the policy wants done with a payment."""

    APPROVE = "approve"
    CHALLENGE = "challenge"
    REVIEW = "review"
    DECLINE = "decline"


class DecidedBy(StrEnum):
    """Which part of the policy had the say, in order of precedence; IMPORT marks history not decided here."""

    DENY_LIST = "deny_list"
    RULE = "rule"
    ALLOW_LIST = "allow_list"
    THRESHOLD = "threshold"
    FALLBACK = "fallback"
    IMPORT = "import"


class Direction(StrEnum):
    """Which way a feature moved the score."""

    TOWARDS_FRAUD = "towards_fraud"
    AGAINST_FRAUD = "against_fraud"


class Reason(msgspec.Struct, frozen=True):
    """One cause of a decision in plain words.

    `contribution` is what the feature added to the model's margin (log-odds); 0 for reasons that no model gave.
    `value` and `usual` are printed forms ("$1,500.00", "$21.40"), None where there is none.
    """

    code: str
    feature: str | None
    value: str | None
    usual: str | None
    contribution: float
    text: str

    @property
    def direction(self) -> Direction | None:
        """Which way it moved the score; None where it did not."""
        if self.contribution == 0:
            return None
        return Direction.TOWARDS_FRAUD if self.contribution > 0 else Direction.AGAINST_FRAUD


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How a model came to the score of one payment; all numbers are log-odds."""

    base: float
    """The margin of an average payment."""
    margin: float
    """`base` and all contributions together; its logistic function is the score."""
    reasons: tuple[Reason, ...]
    """One for each feature of the model, strongest first."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one decision of a payment, with what is needed to repeat it."""

    outcome: Outcome
    decided_by: DecidedBy
    decided_at_ms: int
    score: float | None = None
    """Calibrated probability of fraud, 0..1; None when no model scored."""
    threshold: float | None = None
    model_version: str | None = None
    reasons: tuple[Reason, ...] = ()
    detail: str | None = None
    """The rule or list entry that decided, or why a suspicious payment could not be challenged."""
    spec_hash: str | None = None
    """Hash of the feature definition that the vector was computed with."""
    state_versions: dict[str, int] = {}
    """Version of each entity's state that was read, by "entity:key"."""
    vector: bytes | None = None
    """The features as little-endian float64, in the order of the feature definition."""
