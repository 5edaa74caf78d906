"""Who pays in `bench/parity.py`, in which order their payments arrive, and what is said of them later.

All instants lie in the past, so a server scores these payments and asks nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cardwatch.domain.account import Account
from cardwatch.domain.account_submission import AccountSubmission, HomeSubmission
from cardwatch.domain.submission import Submission
from cardwatch.features.event import PaymentEvent, payment_event
from cardwatch.ports import Gazetteer
from cardwatch.services.put_account import build_account
from cardwatch.services.record_transaction import build_transaction

START_S = 1_700_000_000
DAYS = 120
PAYMENTS_PER_ACCOUNT = 60
MERCHANTS = 400
COMPROMISED = 12
"""Every so-many-th merchant turns bad half-way: all that is paid there from then on is reported as fraud."""
ISLAND = 20
"""Every so-many-th account pays with phones and at merchants that no other account uses. Labels are taken back there
alone: a file of history says once what a payment was, so offline replay is compared everywhere but there."""

LATE_SHARES: Final = (0.83, 0.97)
"""Below the first a payment arrives in time, below the second within ten minutes, else within days."""
AGAIN_SHARE = 0.03
LABELLED_SHARE = 0.05
DAY_S = 86_400

Ints = NDArray[np.int64]

PAYMENT, FRAUD, GENUINE = 0, 1, 2
"""What arrives: a payment (for the first time or again), or a label."""

_ZONES = ("America/Chicago", "Europe/Berlin", "Asia/Tokyo", "UTC")
_LOCATIONS = ("Seattle, WA", "seattle", "Chicago, IL", "Paris", "Unknown Location", "online")
_COUNTRIES = ("US", "US", "CA", "FR", "DE", "MX", "JP", "BR", "IT", "ES", "NL")


@dataclass(frozen=True)
class Arrivals:
    """In order: what arrives (`PAYMENT`, `FRAUD`, `GENUINE`), and of which payment."""

    kinds: Ints
    payments: Ints

    def __iter__(self) -> Iterator[tuple[int, int]]:
        yield from zip(self.kinds.tolist(), self.payments.tolist(), strict=True)

    def __len__(self) -> int:
        return len(self.kinds)


class Step(msgspec.Struct, frozen=True, gc=False):
    """One thing that is applied to feature state: a payment, or a change of its label."""

    transaction_id: str
    event: PaymentEvent
    change: int = 0
    """0: the payment itself; 1: now known as fraud; -1: no longer."""


class Population:
    """Some payments, each made anew when it is asked for."""

    def __init__(self, payments: int, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.size = payments
        self._seed = seed
        accounts = max(ISLAND + 1, payments // PAYMENTS_PER_ACCOUNT)
        self.accounts = accounts
        account = draw.integers(accounts, size=payments)
        time_ms = np.sort(draw.integers(DAYS * DAY_S * 1000, size=payments))
        time_ms = np.where(draw.random(payments) < 0.3, time_ms // 60_000 * 60_000, time_ms)
        self._account, self._time_ms = _with_bursts(draw, account, time_ms)
        self._draws = draw.random((payments, 6))
        self._amount = np.maximum(1, draw.lognormal(7 + self._account % 5 / 4, 1.1, payments)).astype(np.int64)
        self._merchant = np.minimum(draw.zipf(1.3, payments) - 1, 10 * MERCHANTS) % MERCHANTS
        self._usual = (self._account * 7 + draw.integers(3, size=payments) * 31) % MERCHANTS
        self.arrivals = self._arrivals(draw)

    def user_id(self, account: int) -> str:
        """Return the id of an account by its number."""
        return f"{'island' if account % ISLAND == 0 else 'holder'}_{account}"

    def transaction_id(self, number: int) -> str:
        """Return the id of a payment; ids sort otherwise than payments arrive."""
        return f"p{self._seed}-{number * 7_919 % 1_000_003}-{number}"

    def account(self, account: int) -> AccountSubmission | None:
        """Return what is put of an account before it pays; of some nothing is."""
        if account % 5 == 4:
            return None
        home = HomeSubmission(latitude=25.0 + account % 230 / 10, longitude=-120.0 + account % 450 / 10)
        return AccountSubmission(time_zone=_ZONES[account % 4], home=None if account % 5 == 3 else home)

    def submission(self, number: int) -> Submission:
        """Return a payment as it is sent."""
        account, kind = int(self._account[number]), self._draws[number].tolist()
        island = account % ISLAND == 0
        merchant = int(self._usual[number] if kind[0] < 0.6 else self._merchant[number])
        device = account * 3 + (kind[1] < 0.3) if kind[1] < 0.7 else int(kind[1] * 1_000) % 50
        located = kind[2] < 0.6
        at = datetime.fromtimestamp((START_S * 1000 + int(self._time_ms[number])) / 1000, UTC)
        return Submission(
            user_id=self.user_id(account),
            amount=Decimal(int(self._amount[number])) / 100
            if kind[4] < 0.9
            else Decimal(int((kind[4] - 0.9) * 3_000) + 1) / 100,
            currency="EUR" if kind[3] < 0.05 else "USD",
            merchant=f"Isle {account} {merchant % 3}" if island else f"Shop {merchant}",
            transaction_id=self.transaction_id(number),
            timestamp=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            latitude=round(20 + kind[2] * 50, 3) if located else None,
            longitude=round(-125 + kind[3] * 60, 3) if located else None,
            location=None if located else _LOCATIONS[int(kind[5] * len(_LOCATIONS))] if kind[2] < 0.8 else None,
            country=_COUNTRIES[int(kind[5] * len(_COUNTRIES))] if kind[1] < 0.5 else None,
            device_id=None if kind[1] > 0.85 else f"isle-{device}" if island else f"phone-{device}",
        )

    def _arrivals(self, draw: np.random.Generator) -> Arrivals:
        """Put payments, those sent again, and labels in the order in which they arrive."""
        size = self.size
        late = draw.random(size)
        minutes, days = draw.integers(600_000, size=size), draw.integers(6 * DAY_S * 1000, size=size)
        at_ms = self._time_ms + np.where(late < LATE_SHARES[0], 0, np.where(late < LATE_SHARES[1], minutes, days))
        every = np.arange(size)
        again = np.flatnonzero(draw.random(size) < AGAIN_SHARE)
        parts = [(at_ms, 0, every), (at_ms[again] + draw.integers(7_200_000, size=len(again)), PAYMENT, again)]
        parts += self._labels(draw, at_ms)
        times = np.concatenate([part[0] for part in parts])
        kinds = np.concatenate([np.full(len(part[0]), part[1], dtype=np.int64) for part in parts])
        payments = np.concatenate([part[2] for part in parts])
        order = np.lexsort((kinds, times))
        return Arrivals(kinds[order], payments[order])

    def _labels(self, draw: np.random.Generator, at_ms: Ints) -> list[tuple[Ints, int, Ints]]:
        """Say of some payments, hours to weeks after they arrived, what they were."""
        island = self._account % ISLAND == 0
        merchant = np.where(self._draws[:, 0] < 0.6, self._usual, self._merchant)
        bad = ~island & (merchant % COMPROMISED == 1) & (self._time_ms > DAYS * DAY_S * 500)
        said = np.flatnonzero((draw.random(self.size) < LABELLED_SHARE) | bad)
        fraud = bad[said] | (draw.random(len(said)) < 0.8)
        told_ms = at_ms[said] + 1 + draw.integers(12 * DAY_S * 1000, size=len(said))
        parts = [(told_ms[fraud], FRAUD, said[fraud]), (told_ms[~fraud], GENUINE, said[~fraud])]
        back = np.flatnonzero(island[said] & (draw.random(len(said)) < 0.5))
        later_ms = told_ms[back] + draw.integers(5 * DAY_S * 1000, size=len(back))
        parts += [(later_ms, GENUINE, said[back]), (later_ms[::2] + 3_600_000, FRAUD, said[back][::2])]
        return parts


def on_island(event: PaymentEvent) -> bool:
    """Whether labels of a payment's account may be taken back."""
    return (event.account or "").startswith("island")


def steps(population: Population, gazetteer: Gazetteer) -> Iterator[Step]:
    """Yield what is applied, in order of arrival: each payment once, and labels that change what is known."""
    accounts: dict[int, Account | None] = {}
    fraud: dict[int, bool] = {}
    events: dict[int, Step] = {}
    labelled = set(population.arrivals.payments[population.arrivals.kinds != PAYMENT].tolist())
    known = np.zeros(population.size, dtype=bool)
    for kind, number in population.arrivals:
        if kind == PAYMENT:
            if known[number]:
                continue
            known[number] = True
            step = _step(population, number, accounts, gazetteer)
            if number in labelled:
                events[number] = step
            yield step
        elif change := (kind == FRAUD) - fraud.get(number, False):
            fraud[number] = kind == FRAUD
            yield Step(events[number].transaction_id, events[number].event, change)


def _step(population: Population, number: int, accounts: dict[int, Account | None], gazetteer: Gazetteer) -> Step:
    submission = population.submission(number)
    account_number = int(submission.user_id.rpartition("_")[2])
    if account_number not in accounts:
        put = population.account(account_number)
        accounts[account_number] = (
            build_account(submission.user_id, put, current=None, gazetteer=gazetteer, now_ms=0) if put else None
        )
    account = accounts[account_number]
    transaction = build_transaction(
        submission, account=account, gazetteer=gazetteer, randomness=_NoRandomness(), now_ms=2**52
    )
    return Step(transaction.transaction_id, payment_event(transaction, account))


class _NoRandomness:
    """Every payment of the population brings its id."""

    def token(self, length_bytes: int) -> str:
        """Refuse: nothing may be drawn."""
        raise NotImplementedError(length_bytes)


def _with_bursts(draw: np.random.Generator, account: Ints, time_ms: Ints) -> tuple[Ints, Ints]:
    """Let a fifth of the payments follow the one before: of the same account, in the same second or soon after."""
    follows = draw.random(len(account)) < 0.2
    follows[0] = False
    before = np.maximum.accumulate(np.where(follows, 0, np.arange(len(account))))
    after_ms = draw.choice([0, 0, 500, 20_000, 61_000, 300_000], size=len(account))
    return account[before], np.where(follows, time_ms[before] + after_ms, time_ms)
