"""A made-up day of suspicious payments, where there is no real one: all shares and amounts are assumptions.

Genuine payments follow the hours at which people buy online, fraud comes at any hour; amounts are log-normal. Scores
are calibrated by construction: a payment is fraud with the probability that its score says.
"""

import math
from datetime import UTC, datetime
from random import Random
from statistics import NormalDist

from cardwatch.domain.account import Account, PushTarget
from cardwatch.domain.money import Money
from cardwatch.domain.times import DAY_MS, HOUR_MS, MINUTE_MS, utc_offset_s
from cardwatch.domain.transaction import Transaction
from cardwatch.learning.simulate.cities import HOME_CITIES
from cardwatch.learning.simulate.draw import between, seeded, zipf
from cardwatch.learning.simulate.merchants import RHYTHMS
from cardwatch.simulation.assumptions import Assumptions
from cardwatch.simulation.day import Case, Day

MIDNIGHT_MS = int(datetime(2026, 3, 17, tzinfo=UTC).timestamp() * 1000)
"""The day: a Tuesday, far from any change of clocks."""

THRESHOLD = 0.17
"""That of the packaged model."""

_AMOUNT_MINOR_MAX = 2_000_000
_MERCHANTS = ("Northwind Online", "Harbor Electronics", "Gift Card Depot", "Blue Door Travel", "City Outfitters")
_CONCENTRATION = 2.0
"""How the scores are spread: at 2 and a mean of one half they are uniform."""


def synthetic_day(count: int, *, seed: int, assumptions: Assumptions) -> Day:
    """Make up a day with so many payments that a threshold challenges."""
    cases: list[Case] = []
    for number in range(count):
        generator = seeded("policy day", seed, number)
        if cases and generator.random() < assumptions.follow_up_share:
            cases.append(_follow_up(cases[-1], number, generator, assumptions))
        else:
            cases.append(_payment(number, generator, assumptions))
    ordered = sorted(cases, key=lambda case: (case.decided_at_ms, case.transaction.transaction_id))
    return Day(source=f"a synthetic day with {count:,} suspicious payments (seed {seed})", cases=tuple(ordered))


def _payment(number: int, generator: Random, assumptions: Assumptions) -> Case:
    score = _score(generator, 1 - assumptions.genuine_share)
    fraud = generator.random() < score
    account = _account(number, generator, assumptions)
    hour = between(generator, 0, 23) if fraud else int(RHYTHMS["online"].draw(generator))
    local_ms = MIDNIGHT_MS + hour * HOUR_MS + between(generator, 0, HOUR_MS - 1)
    at_ms = local_ms - utc_offset_s(account.time_zone, local_ms) * 1000
    return _case(number, account, at_ms, generator, assumptions, score=score, fraud=fraud)


def _follow_up(first: Case, number: int, generator: Random, assumptions: Assumptions) -> Case:
    """Make up another payment by whoever made one just now."""
    account = first.account
    assert account is not None  # noqa: S101  every synthetic payment has one
    at_ms = first.decided_at_ms + between(generator, MINUTE_MS, 30 * MINUTE_MS)
    score = first.score if first.score is not None else THRESHOLD
    return _case(number, account, at_ms, generator, assumptions, score=score, fraud=first.fraud)


def _case(
    number: int,
    account: Account,
    at_ms: int,
    generator: Random,
    assumptions: Assumptions,
    *,
    score: float,
    fraud: bool,
) -> Case:
    merchant = _MERCHANTS[number % len(_MERCHANTS)]
    transaction = Transaction(
        transaction_id=f"txn_{number:06d}",
        user_id=account.user_id,
        amount=_amount(generator, assumptions),
        merchant=merchant,
        merchant_id=merchant.lower(),
        timestamp_ms=at_ms,
        received_at_ms=at_ms,
        fingerprint=f"synthetic {number}",
        account_currency=account.currency,
        utc_offset_s=utc_offset_s(account.time_zone, at_ms),
        country="US",
        category="online_shopping",
        card=f"{number % 10_000:04d}",
    )
    threshold = _threshold(1 - assumptions.genuine_share)
    return Case(
        transaction=transaction, account=account, score=score, threshold=threshold, decided_at_ms=at_ms, fraud=fraud
    )


def _account(number: int, generator: Random, assumptions: Assumptions) -> Account:
    has_email = generator.random() < assumptions.email_account_share
    has_device = generator.random() < assumptions.push_account_share
    return Account(
        user_id=f"user_{number:06d}",
        phone_number=f"+1{202_000_0000 + number}",
        email=f"user{number}@example.com" if has_email else None,
        push=PushTarget(fcm_token=f"device-{number}") if has_device else None,
        channels=("sms", *(("email",) if has_email else ()), *(("push",) if has_device else ())),
        time_zone=zipf(generator, HOME_CITIES).time_zone,
        consent=True,
        created_at_ms=MIDNIGHT_MS - 400 * DAY_MS,
    )


def _score(generator: Random, fraud_share: float) -> float:
    """Draw a calibrated score above the threshold, on average the share of fraud."""
    lowest = _threshold(fraud_share)
    mean = (fraud_share - lowest) / (1 - lowest) if lowest < 1 else 1.0
    spread = generator.betavariate(_CONCENTRATION * mean, _CONCENTRATION * (1 - mean)) if 0 < mean < 1 else mean
    return min(1.0, lowest + (1 - lowest) * spread)


def _threshold(fraud_share: float) -> float:
    """Return the score from which payments are asked about: the packaged model's, lower where fraud is rarer."""
    return min(THRESHOLD, fraud_share / 2)


def _amount(generator: Random, assumptions: Assumptions) -> Money:
    quantile = NormalDist().inv_cdf(min(max(generator.random(), 1e-9), 1 - 1e-9))
    minor = round(100 * assumptions.amount_median * math.exp(assumptions.spread_of_amounts * quantile))
    return Money(min(max(minor, 100), _AMOUNT_MINOR_MAX), "USD")
