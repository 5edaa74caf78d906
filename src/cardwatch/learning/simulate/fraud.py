"""Fraud as it is told: card testing, a lost card, an account taken over or opened by a thief, a merchant that leaked.

Each scenario makes up the payments of one incident; shares, amounts and times are judgement.
"""

from collections.abc import Callable
from random import Random

from cardwatch.learning.simulate.cities import FOREIGN_CITIES, HOME_CITIES, City
from cardwatch.learning.simulate.draw import Weighted, between, log_normal, pick
from cardwatch.learning.simulate.holders import Draft, Holder, category_price, unresolved_text
from cardwatch.learning.simulate.merchants import CATEGORIES, ONLINE, Merchant, unknown_merchant

Scenario = Callable[[Holder, Random, int], list[Draft]]
"""Makes up one incident of a holder that begins at a second since 1970."""

_GOODS = ("electronics", "online_shopping", "clothing", "home")
_GONE = ("Unknown Location", "Unknown", "Not available", "Location withheld", "Undisclosed")


def card_testing(holder: Holder, generator: Random, start_s: int) -> list[Draft]:
    """A run of tiny payments within an hour to see whether the card works, then large ones."""
    drafts, time_s = [], start_s
    for _ in range(between(generator, 3, 9)):
        amount = between(generator, 20, 300)
        drafts.append(Draft(time_s, _odd_merchant(holder, generator), amount, None, scenario="card_testing"))
        time_s += between(generator, 15, 600)
    for _ in range(between(generator, 1, 4)):
        time_s += between(generator, 120, 5400)
        drafts.append(_large_draft(holder, generator, time_s, "card_testing"))
    return _give_device(holder, generator, drafts)


def lost_card(holder: Holder, generator: Random, start_s: int) -> list[Draft]:
    """The finder shops near the holder's home for a few hours, until the card is blocked."""
    city = holder.home if generator.random() < 0.8 else pick(generator, holder.away)
    drafts, time_s = [], start_s
    for _ in range(between(generator, 3, 10)):
        category = pick(generator, ("electronics", "fuel", "groceries", "clothing", "electronics", "restaurant"))
        merchant = pick(generator, holder.market.merchants(category, city))
        amount = category_price(generator, holder, category) * between(generator, 15, 50) // 10
        drafts.append(Draft(time_s, merchant, amount, city, scenario="lost_card"))
        time_s += between(generator, 90, 2700)
    return _give_device(holder, generator, drafts)


def account_takeover(holder: Holder, generator: Random, start_s: int) -> list[Draft]:
    """Someone else has the account: large payments, to merchants the holder never paid, from wherever."""
    drafts, time_s = [], start_s
    for _ in range(pick(generator, (1, 1, 1, 2, 2, 3, 5))):
        drafts.append(_large_draft(holder, generator, time_s, "account_takeover"))
        time_s += between(generator, 120, 12 * 3600)
    return _give_device(holder, generator, drafts)


def leaked_card(holder: Holder, generator: Random, start_s: int) -> list[Draft]:
    """A card whose number leaked is used a few times for what sells again."""
    drafts, time_s = [], start_s
    for _ in range(between(generator, 1, 4)):
        draft = _large_draft(holder, generator, time_s, "compromised_merchant")
        draft.amount_minor = max(2000, draft.amount_minor * between(generator, 25, 80) // 100)
        drafts.append(draft)
        time_s += between(generator, 60, 20 * 3600)
    return _give_device(holder, generator, drafts)


def new_account(holder: Holder, generator: Random, start_s: int) -> list[Draft]:
    """An account opened in a made-up or stolen name: it begins with large payments, and that is all it makes."""
    drafts, time_s = [], start_s
    for _ in range(pick(generator, (1, 1, 2, 3))):
        draft = _large_draft(holder, generator, time_s, "new_account")
        draft.amount_minor = min(max(20_000, draft.amount_minor * 2), 950_000)
        drafts.append(draft)
        time_s += between(generator, 60, 30 * 3600)
    return _give_device(holder, generator, drafts)


SCENARIOS: dict[str, Scenario] = {
    "card_testing": card_testing,
    "lost_card": lost_card,
    "account_takeover": account_takeover,
}
"""Incidents that strike an account in use; others are arranged by the population."""

SCENARIO_SHARES = Weighted([("card_testing", 20), ("lost_card", 20), ("account_takeover", 60)])


def _large_draft(holder: Holder, generator: Random, time_s: int, scenario: str) -> Draft:
    usual = max(1500, 3000 * holder.level_percent // 100)
    amount = min(max(log_normal(generator, max(25_000, usual * 15), 75), 4_000), 950_000)
    if generator.random() < 0.35:
        amount = max(5_000, amount // 5_000 * 5_000)
    draft = Draft(time_s, _odd_merchant(holder, generator), amount, None, scenario=scenario)
    _place(holder, generator, draft)
    return draft


def _give_device(holder: Holder, generator: Random, drafts: list[Draft]) -> list[Draft]:
    """Add the thief's device, where senders tell it and the payment is made online; one in ten uses the holder's."""
    device = f"dev_{generator.getrandbits(40):010x}"
    if holder.devices and generator.random() < 0.1:
        device = pick(generator, holder.devices)
    for draft in drafts:
        if holder.devices and draft.merchant.category.name in ONLINE:
            draft.device_id = device
    return drafts


def _place(holder: Holder, generator: Random, draft: Draft) -> None:
    """Say where a fraud seems to come from: half of them from no place that can be found, where senders say at all."""
    chance = generator.random()
    if chance < 0.48:
        draft.unresolved = pick(generator, _GONE) if generator.random() < 0.5 else unresolved_text(generator)
    elif chance < 0.66:
        draft.city = pick(generator, FOREIGN_CITIES)
    elif chance < 0.76:
        draft.city = _other_home(holder, generator)
    elif chance < 0.84:
        draft.city = holder.home


def _other_home(holder: Holder, generator: Random) -> City:
    city = pick(generator, HOME_CITIES)
    return city if city is not holder.home else holder.away[0]


def _odd_merchant(holder: Holder, generator: Random) -> Merchant:
    category = pick(generator, _GOODS)
    chance = generator.random()
    if chance < 0.45:
        return unknown_merchant(generator, CATEGORIES[category])
    if chance < 0.75:
        return pick(generator, holder.market.merchants("online_shopping", None))
    return pick(generator, holder.market.merchants(category, holder.home))
