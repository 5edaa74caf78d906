"""Simulated cardholders: their account, home, habits, and how the payments of their cards are reported.

What a sender reports differs in the real world (some never give a location, a category or a device), so it differs
here by account: the model must not take a missing part for a sign of anything.
"""

from random import Random

import msgspec

from cardwatch.domain.account import Account, Home
from cardwatch.domain.money import Money
from cardwatch.domain.place import Place
from cardwatch.domain.times import DAY_MS, utc_offset_s
from cardwatch.domain.transaction import Transaction
from cardwatch.learning.simulate.cities import FOREIGN_CITIES, HOME_CITIES, City, nearest_cities, places_near
from cardwatch.learning.simulate.draw import between, log_normal, pick, zipf
from cardwatch.learning.simulate.merchants import CATEGORIES, ONLINE, Market, Merchant
from cardwatch.learning.simulate.personas import PERSONA_SHARES, PERSONAS, Persona

_UNRESOLVED = ("Store {}", "POS TERMINAL {}", "Kiosk {}", "Unit {} Retail Park", "MOBILE {}", "Branch No. {}")


class Draft(msgspec.Struct, gc=False):
    """A payment while it is being made up."""

    time_s: int
    merchant: Merchant
    amount_minor: int
    city: City | None
    """Where the card was used; None online or where nothing resolves."""
    unresolved: str | None = None
    """Free text that names no place, sent instead of a city."""
    scenario: str = "everyday"
    currency: str | None = None
    device_id: str | None = None


class Holder:
    """A person with a card; all habits follow from the generator that it is made with."""

    def __init__(self, account: Account, persona: Persona, home: City, *, market: Market, generator: Random) -> None:
        """Draw a person's habits."""
        self.account, self.persona, self.home, self.market = account, persona, home, market
        self.level_percent = log_normal(generator, persona.level_percent, 25)
        self.reports = pick(generator, ("city", "city", "city", "coordinates", "nothing"))
        self.shift_hours = pick(generator, (0,) * 14 + (9,))
        """Those who work by night do by night what others do by day."""
        self.sends_category = generator.random() < 0.5
        self.sends_country = generator.random() < 0.3
        self.devices = self._draw_devices(generator)
        self.away = nearest_cities(home)
        self.subscriptions = self._draw_subscriptions(generator)
        self._favourites = {
            category: tuple(zipf(generator, market.merchants(category, home)) for _ in range(between(generator, 2, 6)))
            for category in persona.spending.items
        }

    def _draw_devices(self, generator: Random) -> tuple[str, ...]:
        if generator.random() < 0.6:
            return ()
        return tuple(f"dev_{generator.getrandbits(40):010x}" for _ in range(between(generator, 1, 2)))

    def _draw_subscriptions(self, generator: Random) -> tuple[tuple[int, Merchant, int], ...]:
        """Return (day of the month, merchant, amount) of what is paid every month."""
        paid = []
        for category in ("subscription", "subscription", "utilities", "utilities"):
            merchant = zipf(generator, self.market.merchants(category, None))
            paid.append((between(generator, 1, 28), merchant, self.price(generator, merchant)))
        return tuple(paid[: between(generator, 0, 4)])

    def merchant(self, generator: Random, category: str, city: City) -> Merchant:
        """Choose where to pay: mostly a favourite when at home, any merchant of the place otherwise."""
        favourites = self._favourites.get(category)
        at_home = category in ONLINE or city is self.home
        if favourites and at_home and generator.random() * 100 < self.persona.loyalty_percent:
            return zipf(generator, favourites)
        return pick(generator, self.market.merchants(category, city))

    def price(self, generator: Random, merchant: Merchant) -> int:
        """Draw what this person pays at a merchant, in cents."""
        median = max(50, merchant.median_minor * self.level_percent // 100)
        amount = log_normal(generator, median, merchant.category.spread)
        if generator.random() < 0.3:
            amount = max(100, amount // 100 * 100 - (generator.random() < 0.6))
        return min(amount, 2_500_000)

    def transaction(self, draft: Draft, transaction_id: str) -> Transaction:
        """Turn a draft into the payment as Cardwatch would have recorded it."""
        zone, timestamp_ms = self.account.time_zone, draft.time_s * 1000
        location, place = self._where(draft)
        category = draft.merchant.category
        return Transaction(
            transaction_id=transaction_id,
            user_id=self.account.user_id,
            amount=Money(draft.amount_minor, draft.currency or self.account.currency),
            merchant=draft.merchant.name,
            merchant_id=draft.merchant.merchant_id,
            timestamp_ms=timestamp_ms,
            received_at_ms=timestamp_ms,
            fingerprint=transaction_id,
            account_currency=self.account.currency,
            # One offset a day is enough for made-up payments, and a hundred times as fast.
            utc_offset_s=utc_offset_s(zone, timestamp_ms // DAY_MS * DAY_MS + DAY_MS // 2),
            location=location,
            place=place,
            country=place.country if place and self.sends_country else None,
            category=category.name if self.sends_category else None,
            device_id=draft.device_id,
        )

    def _where(self, draft: Draft) -> tuple[str | None, Place | None]:
        """Return the free text and the place of a draft, as this holder's payments are reported."""
        if draft.unresolved is not None:
            return draft.unresolved, None
        if draft.city is None or self.reports == "nothing":
            return None, None
        if self.reports == "city":
            return draft.city.label, draft.city.place
        return None, places_near(draft.city)[draft.time_s % 9]


def unresolved_text(generator: Random) -> str:
    """Make up a location that names no place, as terminals send them."""
    return pick(generator, _UNRESOLVED).format(between(generator, 2, 9999))


def make_holder(index: int, *, market: Market, generator: Random) -> Holder:
    """Draw a whole new person; a quarter of the accounts know no home, and their time zone is UTC."""
    persona = PERSONAS[PERSONA_SHARES.draw(generator)]
    home = pick(generator, HOME_CITIES)
    known = generator.random() < 0.75
    account = Account(
        user_id=f"sim_{index:06d}",
        time_zone=home.time_zone if known else "UTC",
        home=Home(location=home.label, place=home.place) if known else Home(),
    )
    return Holder(account, persona, home, market=market, generator=generator)


def holder_of(account: Account, *, persona: Persona, market: Market, generator: Random) -> Holder:
    """Give an existing account a person, of its home city where it has one, whose payments name their city."""
    place = account.home.place
    if place is None:
        home = pick(generator, HOME_CITIES)
    else:
        home = min(HOME_CITIES, key=lambda city: (city.place.x - place.x) ** 2 + (city.place.y - place.y) ** 2)
    holder = Holder(account, persona, home, market=market, generator=generator)
    holder.reports, holder.sends_category, holder.sends_country, holder.devices = "city", True, False, ()
    return holder


def offset_s(holder: Holder, day: int) -> int:
    """Return the offset of a holder's home from UTC on a day since 1970, in seconds."""
    return utc_offset_s(holder.home.time_zone, day * DAY_MS + DAY_MS // 2)


def somewhere_else(generator: Random, holder: Holder) -> City:
    """Draw where a trip goes: another home city or a foreign one."""
    if generator.random() * 100 < holder.persona.abroad_percent:
        return pick(generator, FOREIGN_CITIES)
    return pick(generator, HOME_CITIES)


def category_price(generator: Random, holder: Holder, category: str) -> int:
    """Draw what a person pays in a category, wherever."""
    median = CATEGORIES[category].median_minor * holder.level_percent // 100
    return log_normal(generator, max(50, median), CATEGORIES[category].spread)
