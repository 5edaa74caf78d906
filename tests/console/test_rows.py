"""What a row says: the risk in words, and numbers only where the phone is simulated."""

import pytest

from cardwatch.console.rows import is_history, risk_band, show_payment
from cardwatch.domain.decision import DecidedBy
from cardwatch.domain.transaction import Status, TransactionRecord
from tests.builders import PHONE, make_challenge, make_decision, make_transaction


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (0.0, "low"),
        (0.19, "low"),
        (0.2, "elevated"),
        (0.39, "elevated"),
        (0.4, "high"),
        (0.7, "critical"),
        (1, "critical"),
    ],
)
def test_bands_follow_the_threshold(score: float, band: str) -> None:
    """High begins where the policy asks the cardholder, critical half way from there to certainty."""
    assert risk_band(score, 0.4) == band


def test_a_real_number_is_not_shown() -> None:
    """With a real provider the page never learns whom the question went to, nor its code."""
    record = TransactionRecord(
        sequence=1,
        transaction=make_transaction(),
        status=Status.CHALLENGED,
        decision=make_decision(),
        challenge=make_challenge(code="42"),
    )
    shown, hidden = show_payment(record, phones=True).question, show_payment(record, phones=False).question
    assert shown is not None
    assert hidden is not None
    assert (shown.phone, shown.code) == (PHONE, "42")
    assert (hidden.phone, hidden.code) == (None, None)


def test_a_payment_without_a_score_has_no_band() -> None:
    """A pending payment and one that no model scored show no risk instead of a low one."""
    pending = TransactionRecord(sequence=1, transaction=make_transaction(), status=Status.PENDING)
    unscored = make_decision(score=None, decided_by=DecidedBy.FALLBACK)
    fallback = TransactionRecord(sequence=1, transaction=make_transaction(), status=Status.IN_REVIEW, decision=unscored)
    assert show_payment(pending, phones=True).risk is None
    assert show_payment(fallback, phones=True).risk is None
    assert not is_history(pending)
