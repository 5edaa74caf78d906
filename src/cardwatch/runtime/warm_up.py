"""Walks the way of a payment before the first one comes, so that it is as fast as the hundredth."""

from decimal import Decimal

from cardwatch.domain.account_submission import AccountSubmission
from cardwatch.domain.submission import Submission
from cardwatch.ports import Clock, Gazetteer, GroupStore, Randomness
from cardwatch.runtime.writer import Step
from cardwatch.services.put_account import put_account
from cardwatch.services.record_transaction import record_transaction

_ROUNDS = 20
_USER_ID = "warm-up"
_ACCOUNT = AccountSubmission(phone_number="+12065550100", time_zone="America/Los_Angeles")
_PAYMENTS = tuple(
    Submission(user_id=_USER_ID, amount=Decimal(amount), merchant="Warm-up", location=location)
    for amount, location in (("4.75", "Seattle, WA"), ("2.10", None), ("9500.00", "Unknown Location"))
)
"""Everyday payments, and one that is asked about: both ways are walked."""


def warm_up(*, store: GroupStore, scoring: Step, clock: Clock, gazetteer: Gazetteer, randomness: Randomness) -> None:
    """Take payments in and decide them in groups that are given up: nothing of it stays but what is warm."""
    for _ in range(_ROUNDS):
        store.begin_group()
        try:
            now_ms = clock.now_ms()
            put_account(_USER_ID, _ACCOUNT, store=store, gazetteer=gazetteer, now_ms=now_ms)
            for payment in _PAYMENTS:
                record_transaction(payment, store=store, gazetteer=gazetteer, randomness=randomness, now_ms=now_ms)
            scoring.run()
        finally:
            store.roll_back_group()
            scoring.rolled_back()
