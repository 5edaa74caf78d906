"""The merchants of the simulated world: what they sell, for how much, and when they are visited.

All names are invented. A city's merchants depend on the market's seed and the city alone, so an account's habits
are the same whether a whole population is simulated or that account by itself.
"""

from functools import lru_cache
from random import Random

import msgspec

from cardwatch.learning.simulate.cities import City
from cardwatch.learning.simulate.draw import Weighted, between, pick, seeded
from cardwatch.services.record_transaction import normalised_merchant


class Category(msgspec.Struct, frozen=True):
    """A kind of merchant; medians in US cents, spread as hundredths of log standard deviation."""

    name: str
    mcc: str
    median_minor: int
    spread: int
    rhythm: str
    """Which of `RHYTHMS` its visits follow."""
    kinds: tuple[str, ...]
    """Last words of its merchants' names."""


class Merchant(msgspec.Struct, frozen=True):
    """A place to pay; `city` is None for online merchants."""

    name: str
    merchant_id: str
    category: Category
    city: City | None
    median_minor: int


def _hours(first: int, weights: str) -> Weighted:
    return Weighted([(str((first + step) % 24), int(weight)) for step, weight in enumerate(weights.split())])


RHYTHMS: dict[str, Weighted] = {
    "morning": _hours(5, "1 4 9 10 6 4 3 3 2 3 3 4 4 2 1"),
    "day": _hours(7, "1 2 4 6 7 7 6 6 6 7 8 7 5 3 1"),
    "evening": _hours(10, "1 4 8 7 3 2 2 4 9 11 10 7 4 2 1 1"),
    "online": _hours(0, "3 2 1 1 1 1 2 3 4 5 5 5 6 5 5 5 5 6 7 8 9 9 7 5"),
}
"""Hours of the local day (as text, for the draw) by how often each is chosen."""

CATEGORIES: dict[str, Category] = {
    category.name: category
    for category in (
        Category("coffee", "5814", 550, 35, "morning", ("Coffee", "Espresso Bar", "Bakery", "Tea House")),
        Category("groceries", "5411", 4800, 70, "day", ("Grocers", "Market", "Foods", "Co-op")),
        Category("restaurant", "5812", 3400, 55, "evening", ("Kitchen", "Grill", "Bistro", "Noodle House", "Pizzeria")),
        Category("fast_food", "5814", 1250, 40, "evening", ("Burgers", "Tacos", "Sandwiches", "Chicken")),
        Category("fuel", "5541", 4100, 35, "day", ("Fuel", "Service Station", "Gas and Go")),
        Category("transit", "4111", 325, 35, "morning", ("Transit", "Parking", "Rail")),
        Category("pharmacy", "5912", 1900, 70, "day", ("Pharmacy", "Drugs", "Chemist")),
        Category("clothing", "5651", 6200, 70, "day", ("Clothing", "Outfitters", "Shoes", "Boutique")),
        Category("electronics", "5732", 13500, 90, "day", ("Electronics", "Computers", "Cameras")),
        Category("home", "5200", 6800, 85, "day", ("Hardware", "Furniture", "Garden Centre")),
        Category("entertainment", "7832", 2700, 55, "evening", ("Cinema", "Bowling", "Theatre", "Arcade")),
        Category("health", "8011", 5500, 85, "day", ("Dental", "Clinic", "Opticians", "Fitness")),
        Category("personal_care", "7230", 3600, 55, "day", ("Hair Studio", "Barbers", "Spa")),
        Category("lodging", "7011", 24000, 55, "evening", ("Hotel", "Inn", "Suites")),
        Category("online_shopping", "5969", 3600, 85, "online", ("Online", "Direct", "Warehouse", "Marketplace")),
        Category("delivery", "5814", 2900, 45, "online", ("Eats", "Delivery", "Meals")),
        Category("subscription", "5815", 1299, 40, "online", ("Streaming", "Music", "News", "Cloud")),
        Category("gaming", "5816", 1500, 60, "online", ("Games", "Play", "Studio")),
        Category("utilities", "4900", 9200, 45, "online", ("Energy", "Water", "Wireless", "Broadband")),
        Category("airline", "4511", 31000, 50, "online", ("Airways", "Travel", "Air")),
    )
}
"""Judgement, not measurement: what a US household pays at such a merchant."""

ONLINE = frozenset({"online_shopping", "delivery", "subscription", "gaming", "utilities", "airline"})
"""Categories without a place."""

_FIRST_WORDS = (
    "Blue Heron;Copper Kettle;North Star;Maple Leaf;Golden Gate;Silver Birch;Red Door;Old Mill;Sunny Side;River Bend;"
    "Green Valley;Harbor;Cedar;Lakeside;Prairie;Iron Horse;Little Fox;Morning Glory;Stone Bridge;Whistling Pig;"
    "Juniper;Two Brothers;Corner;Union;Summit;Bright;Family;Uptown;Garden;Liberty;Anchor;Wild Rose;Tall Oak;Paper Moon;"
    "Lucky Penny;Blackbird;Honeycomb;Clover;Orchard;Lantern"
)
_SECOND_WORDS = (
    "Street;Hill;Park;Square;Avenue;Point;Creek;Ridge;Station;Village;Plaza;Crossing;Court;Landing;Heights;Grove;"
    "& Sons;& Daughters;& Company;Brothers"
)
_FIRST, _SECOND = _FIRST_WORDS.split(";"), _SECOND_WORDS.split(";")


def unknown_merchant(generator: Random, category: Category) -> Merchant:
    """Make a merchant that most likely nobody has paid before."""
    name = f"{pick(generator, _FIRST)} {between(generator, 100, 99999)} {pick(generator, category.kinds)}"
    return Merchant(name, normalised_merchant(name), category, None, category.median_minor)


class Market:
    """All merchants of a simulated world."""

    def __init__(self, seed: int) -> None:
        """Prepare the world with a seed; cities are filled as they are visited."""
        self._seed = seed
        self._in_city = lru_cache(maxsize=None)(self._make)

    def merchants(self, category: str, city: City | None) -> tuple[Merchant, ...]:
        """Return the merchants of a category in a city, or of an online category anywhere, most visited first."""
        return self._in_city(category, None if category in ONLINE else city)

    def _make(self, category: str, city: City | None) -> tuple[Merchant, ...]:
        generator = seeded(self._seed, category, city.label if city else "online")
        kind = CATEGORIES[category]
        size = 40 if city is None else 5 + min(20, city.population_thousands // 150)
        made: dict[str, Merchant] = {}
        while len(made) < size:
            name = f"{pick(generator, _FIRST)} {pick(generator, _SECOND)} {pick(generator, kind.kinds)}"
            level = between(generator, 60, 165)
            made[name] = Merchant(
                name, normalised_merchant(name), kind, city, max(50, kind.median_minor * level // 100)
            )
        return tuple(made.values())
