"""A day of suspicious payments: what is put before each policy."""

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.decision import DecidedBy, Outcome
from cardwatch.domain.policy import Policy, Verdict
from cardwatch.domain.transaction import Transaction


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A payment with what was known about it, and what is true of it."""

    transaction: Transaction
    account: Account | None
    score: float | None
    """Probability of fraud, 0..1; None where no model scored."""
    threshold: float
    decided_at_ms: int
    fraud: bool
    """The truth, as far as the simulation is concerned."""

    def judged_by(self, policy: Policy) -> Verdict:
        """Return what a policy does with it, before it is known whether its holder can be asked."""
        if self.score is not None:
            return policy.judge(self.transaction, score=self.score, threshold=self.threshold)
        listed = policy.judge_without_score(self.transaction)
        return listed or Verdict(Outcome.REVIEW, DecidedBy.FALLBACK)

    @property
    def household(self) -> str:
        """Whose turn it waits for: the phone that it is asked about on, else its account."""
        phone = self.account.phone_number if self.account else None
        return phone or self.transaction.user_id


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """The payments of a day, in the order in which they were decided."""

    source: str
    """In words, for who reads the result."""
    cases: tuple[Case, ...]
    opted_out: frozenset[str] = frozenset()
    """Numbers that took no texts when the day began."""
