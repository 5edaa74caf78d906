"""What a demonstration needs: an account's everyday history, and a trickle of live payments."""

from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.money import Money
from cardwatch.domain.times import DAY_MS
from cardwatch.domain.transaction import Transaction
from cardwatch.learning.seed_accounts import SEED_PERSONAS
from cardwatch.learning.simulate.draw import between, pick, seeded
from cardwatch.learning.simulate.everyday import everyday_drafts
from cardwatch.learning.simulate.fraud import account_takeover
from cardwatch.learning.simulate.holders import Draft, Holder, holder_of, make_holder
from cardwatch.learning.simulate.merchants import Market
from cardwatch.learning.simulate.personas import PERSONAS
from cardwatch.ports import Gazetteer

_NEVER_DAYS = 10**9
_EVERYDAY_MAX_MINOR = 40_000
"""A history without large purchases: what a demonstration calls unusual shall be."""
_CROWD = 400
"""Accounts besides the given ones that the trickle pays from, so that no account pays every minute."""


class LivePayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment to be made now, as a sender would post it."""

    user_id: str
    amount: Money
    merchant: str
    location: str | None
    category: str | None
    suspicious: bool
    """Whether the simulator means it to be fraud."""


def everyday_history(
    account: Account, *, seed: int, days: int, until_ms: int, gazetteer: Gazetteer | None = None
) -> tuple[Transaction, ...]:
    """Return an account's everyday payments of the `days` days before `until_ms`, in order of time.

    Ids and payments depend on the account's id, the seed and `until_ms` alone. With a gazetteer places are what it
    resolves the payments' locations to, else those of the simulator's own table.
    """
    holder, generator = _settled_holder(account, seed)
    from_ms = until_ms - days * DAY_MS
    drafts = _quiet_days(holder, generator, from_ms // DAY_MS - 1, until_ms // DAY_MS + 1)
    kept = sorted((draft for draft in drafts if from_ms <= draft.time_s * 1000 < until_ms), key=lambda d: d.time_s)
    made = (holder.transaction(draft, f"hist_{account.user_id}_{number:04d}") for number, draft in enumerate(kept))
    return tuple(_resolved(transaction, gazetteer) for transaction in made)


def live_payments(accounts: Sequence[Account], *, seed: int, suspicious_every: int = 30) -> Iterator[LivePayment]:
    """Yield payments without end: everyday ones, and about one in `suspicious_every` that is fraud.

    One in forty everyday payments and one in three suspicious ones are made by the given accounts with their habits,
    the rest by a crowd of others ("demo_0001" ..) that the system has not seen before.
    """
    market, generator = Market(seed), seeded(seed, "live")
    known = [_settled_holder(account, seed)[0] for account in accounts]
    crowd = [make_holder(index, market=market, generator=seeded(seed, "crowd", index)) for index in range(_CROWD)]
    for number, holder in enumerate(crowd):
        holder.account = msgspec.structs.replace(holder.account, user_id=f"demo_{number:04d}")
        holder.reports = "city"
    while True:
        suspicious = generator.random() * suspicious_every < 1
        by_known = generator.random() < (1 / 3 if suspicious else 1 / 40)
        holder = pick(generator, known if by_known and known else crowd)
        draft = account_takeover(holder, generator, 0)[0] if suspicious else _errand_now(holder, generator)
        yield _live(holder, draft, suspicious=suspicious)


def _settled_holder(account: Account, seed: int) -> tuple[Holder, Random]:
    """Return the account's person, who stays at home, and the generator that its payments are drawn from."""
    generator = seeded(seed, "history", account.user_id)
    persona = PERSONAS[SEED_PERSONAS.get(account.user_id, "commuter")]
    settled = msgspec.structs.replace(persona, trip_every_days=_NEVER_DAYS)
    return holder_of(account, persona=settled, market=Market(seed), generator=generator), generator


def _quiet_days(holder: Holder, generator: Random, first_day: int, last_day: int) -> list[Draft]:
    drafts = everyday_drafts(holder, generator, first_day=first_day, last_day=last_day)
    return [draft for draft in drafts if draft.amount_minor <= _EVERYDAY_MAX_MINOR and draft.unresolved is None]


def _errand_now(holder: Holder, generator: Random) -> Draft:
    category = holder.persona.spending.draw(generator)
    merchant = holder.merchant(generator, category, holder.home)
    amount = min(holder.price(generator, merchant), _EVERYDAY_MAX_MINOR - between(generator, 0, 99))
    return Draft(0, merchant, amount, holder.home if merchant.city is not None else None)


def _live(holder: Holder, draft: Draft, *, suspicious: bool) -> LivePayment:
    return LivePayment(
        user_id=holder.account.user_id,
        amount=Money(draft.amount_minor, holder.account.currency),
        merchant=draft.merchant.name,
        location=draft.unresolved or (draft.city.label if draft.city else None),
        category=draft.merchant.category.name if holder.sends_category else None,
        suspicious=suspicious,
    )


def _resolved(transaction: Transaction, gazetteer: Gazetteer | None) -> Transaction:
    if gazetteer is None or transaction.location is None:
        return transaction
    return msgspec.structs.replace(transaction, place=gazetteer.resolve(transaction.location))
