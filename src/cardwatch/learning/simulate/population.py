"""A whole population over months: who joins when, whom fraud strikes, and the stream of payments that results."""

from collections.abc import Iterator
from random import Random

import msgspec

from cardwatch.domain.history import HistoryRow
from cardwatch.domain.times import DAY_MS
from cardwatch.learning.simulate.draw import between, log_normal, pick, seeded
from cardwatch.learning.simulate.everyday import DAY_S, everyday_drafts
from cardwatch.learning.simulate.fraud import SCENARIO_SHARES, SCENARIOS, leaked_card, new_account
from cardwatch.learning.simulate.holders import Draft, Holder, make_holder, offset_s
from cardwatch.learning.simulate.merchants import Market

LABEL_DELAY_DAYS_MEDIAN = 5
"""Days until a fraud is reported, in the middle; honest payments count as such after `GENUINE_AFTER_DAYS`."""
GENUINE_AFTER_DAYS = 7

NEW_ACCOUNT_FRAUD_SHARE = 0.03
"""Of the accounts that join, how many are opened for fraud; judgement."""


class PopulationSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate; the defaults are what the shipped model is trained on."""

    seed: int = 20260101
    accounts: int = 3000
    first_day: int = 20089
    """Days since 1970; 20089 is 2025-01-01."""
    days: int = 150
    incidents_per_thousand_account_days: float = 1.9
    leaks: int = 30
    """Merchants that leak the cards used there during some days."""


class Life(msgspec.Struct):
    """A holder with all payments made up so far; each draft says by its scenario whether it is fraud."""

    holder: Holder
    first_day: int
    generator: Random
    honest: list[Draft]
    fraud: list[Draft]


def simulate_population(spec: PopulationSpec) -> Iterator[HistoryRow]:
    """Yield the population's payments in order of (time, id), each with its account and label.

    The whole population is drafted in memory first, about 250 bytes a payment.
    """
    market = Market(spec.seed)
    lives = [_live(spec, market, index) for index in range(spec.accounts)]
    _strike(spec, lives)
    _leak(spec, lives)
    _open_for_fraud(spec, lives)
    yield from _rows(spec, lives)


def _live(spec: PopulationSpec, market: Market, index: int) -> Life:
    """Two in five accounts are there from the start; the others join all along, so that some are always new."""
    generator = seeded(spec.seed, "account", index)
    holder = make_holder(index, market=market, generator=generator)
    joined = 0 if generator.random() < 0.4 else int(generator.random() * spec.days)
    first_day, last_day = spec.first_day + joined, spec.first_day + spec.days - 1
    honest = everyday_drafts(holder, generator, first_day=first_day, last_day=last_day)
    return Life(holder, first_day, generator, honest, [])


def _strike(spec: PopulationSpec, lives: list[Life]) -> None:
    last_day = spec.first_day + spec.days - 1
    for life in lives:
        for day in range(life.first_day, last_day + 1):
            if life.generator.random() * 1000 < spec.incidents_per_thousand_account_days:
                scenario = SCENARIOS[SCENARIO_SHARES.draw(life.generator)]
                life.fraud.extend(scenario(life.holder, life.generator, _moment(life, day)))


def _moment(life: Life, day: int) -> int:
    """Draw when fraud begins on a day: a fifth of it in the small hours, over the rest, where the holder lives."""
    midnight_s = day * DAY_S - offset_s(life.holder, day)
    hours = (0, 5) if life.generator.random() < 0.2 else (0, 23)
    return midnight_s + between(life.generator, *hours) * 3600 + between(life.generator, 0, 3599)


def _leak(spec: PopulationSpec, lives: list[Life]) -> None:
    """Let merchants leak the cards that paid there within ten days, to be used one to four weeks later."""
    generator = seeded(spec.seed, "leaks")
    for _ in range(spec.leaks):
        paid = pick(generator, pick(generator, lives).honest or [None])
        if paid is None:
            continue
        opened_s, until_s = paid.time_s, paid.time_s + 10 * DAY_S
        for life in lives:
            there = any(
                draft.merchant.merchant_id == paid.merchant.merchant_id and opened_s <= draft.time_s < until_s
                for draft in life.honest
            )
            if there and generator.random() < 0.3:
                start_s = until_s + between(generator, 7 * DAY_S, 28 * DAY_S)
                life.fraud.extend(leaked_card(life.holder, life.generator, start_s))


def _open_for_fraud(spec: PopulationSpec, lives: list[Life]) -> None:
    """Let thieves open some of the accounts that join: those make no honest payment."""
    generator = seeded(spec.seed, "new accounts")
    for life in lives:
        if life.first_day > spec.first_day and generator.random() < NEW_ACCOUNT_FRAUD_SHARE:
            life.honest.clear()
            life.fraud[:] = new_account(life.holder, life.generator, _moment(life, life.first_day))


def _rows(spec: PopulationSpec, lives: list[Life]) -> Iterator[HistoryRow]:
    first_s, until_s = spec.first_day * DAY_S, (spec.first_day + spec.days) * DAY_S
    order: list[tuple[int, str, Life, Draft, bool]] = []
    for life in lives:
        drafts = [(draft, False) for draft in life.honest] + [(draft, True) for draft in life.fraud]
        for number, (draft, is_fraud) in enumerate(drafts):
            if first_s <= draft.time_s < until_s:
                order.append((draft.time_s, f"{life.holder.account.user_id}-{number:05d}", life, draft, is_fraud))
    order.sort(key=lambda entry: (entry[0], entry[1]))
    labels = seeded(spec.seed, "labels")
    for time_s, transaction_id, life, draft, is_fraud in order:
        known_after_days = log_normal(labels, LABEL_DELAY_DAYS_MEDIAN, 60) if is_fraud else GENUINE_AFTER_DAYS
        yield HistoryRow(
            transaction=life.holder.transaction(draft, transaction_id),
            account=life.holder.account,
            is_fraud=is_fraud,
            label_available_ms=time_s * 1000 + known_after_days * DAY_MS,
            scenario=draft.scenario,
        )
