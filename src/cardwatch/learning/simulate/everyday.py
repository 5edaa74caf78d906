"""What honest holders pay: the day's errands, bills, sprees, trips, and now and then something large."""

from collections.abc import Iterator
from random import Random

import msgspec

from cardwatch.learning.simulate.cities import City
from cardwatch.learning.simulate.draw import between, count, log_normal, pick, weights
from cardwatch.learning.simulate.holders import Draft, Holder, offset_s, somewhere_else, unresolved_text
from cardwatch.learning.simulate.merchants import CATEGORIES, ONLINE, RHYTHMS, Merchant, unknown_merchant

DAY_S = 86_400
_WEEKEND_PERCENT = (85, 88, 92, 100, 125, 130, 95)
"""Payments of a weekday against the mean, Monday first."""
_LARGE = weights("electronics:25 home:25 online_shopping:15 health:15 clothing:10")
_LOCAL_CURRENCIES = {"GB": "GBP", "CA": "CAD", "FR": "EUR", "DE": "EUR", "ES": "EUR", "IT": "EUR", "PT": "EUR"}
_TRIP_SPENDING = weights(
    "restaurant:30 coffee:18 transit:16 groceries:6 clothing:7 entertainment:8 fast_food:9 fuel:4 pharmacy:2 "
    "electronics:1"
)
_UNRESOLVED_SHARE = 0.012
"""Honest payments whose location names no place."""
_UNPLACED_SHARE = 0.22
"""Honest payments in a shop that come without a location all the same."""
_ODD_HOUR_SHARE = 0.04
"""Honest payments at any hour of the day or night."""
_ONE_OFF_SHARE = 0.12
"""Honest payments at a merchant that nobody else pays: a stall, a craftsman, a private seller."""


class Trip(msgspec.Struct, frozen=True):
    """Days away from home, both included."""

    city: City
    first_day: int
    last_day: int


def everyday_drafts(holder: Holder, generator: Random, *, first_day: int, last_day: int) -> list[Draft]:
    """Make up a holder's honest payments from one day since 1970 to another, both included, in no order."""
    drafts: list[Draft] = []
    trip: Trip | None = None
    for day in range(first_day, last_day + 1):
        trip = _continue_trip(holder, generator, day, trip)
        drafts.extend(_day(holder, generator, day, trip))
    for draft in drafts:
        _report(holder, generator, draft)
    return drafts


def _continue_trip(holder: Holder, generator: Random, day: int, trip: Trip | None) -> Trip | None:
    if trip is not None and day <= trip.last_day:
        return trip
    if generator.random() * holder.persona.trip_every_days >= 1:
        return None
    return Trip(somewhere_else(generator, holder), day, day + between(generator, 1, 8))


def _day(holder: Holder, generator: Random, day: int, trip: Trip | None) -> Iterator[Draft]:
    mean = holder.persona.payments_per_day_tenths * _WEEKEND_PERCENT[(day + 3) % 7] // 100  # day 0 was a Thursday
    midnight_s = day * DAY_S - offset_s(holder, day)
    for _ in range(count(generator, mean + (mean // 2 if trip else 0))):
        yield from _errand(holder, generator, midnight_s, trip)
    if trip is not None and day in (trip.first_day, trip.last_day):
        yield from _travel_costs(holder, generator, midnight_s, trip)
    for month_day, merchant, amount in holder.subscriptions:
        if day % 30 + 1 == month_day:
            yield Draft(midnight_s + between(generator, 0, DAY_S - 1), merchant, amount, None)
    if generator.random() < 0.011:
        yield _large(holder, generator, midnight_s, trip)
    if generator.random() < 0.04:
        yield from _spree(holder, generator, midnight_s, trip)


def _errand(holder: Holder, generator: Random, midnight_s: int, trip: Trip | None) -> Iterator[Draft]:
    category = (_TRIP_SPENDING if trip else holder.persona.spending).draw(generator)
    city = trip.city if trip else holder.home
    if trip is None and generator.random() < 0.03:
        city = pick(generator, holder.away)
    merchant = _merchant(holder, generator, category, city)
    time_s = midnight_s + _second_of_day(holder, generator, merchant)
    scenario = "travel" if trip else "everyday"
    yield Draft(time_s, merchant, holder.price(generator, merchant), _city(merchant, city), scenario=scenario)
    if category in ("transit", "fast_food", "coffee") and generator.random() < 0.08:
        for again in range(between(generator, 1, 3)):  # the same till again: parking, a round, a second ride
            later_s = time_s + 60 * between(generator, 1, 25) * (again + 1)
            yield Draft(later_s, merchant, holder.price(generator, merchant), _city(merchant, city), scenario=scenario)


def _spree(holder: Holder, generator: Random, midnight_s: int, trip: Trip | None) -> Iterator[Draft]:
    """Several shops within an afternoon, or several orders within an hour."""
    city = trip.city if trip else holder.home
    time_s = midnight_s + between(generator, 10 * 3600, 20 * 3600)
    kinds = ("online_shopping", "gaming") if generator.random() < 0.3 else ("clothing", "home", "coffee", "electronics")
    for _ in range(between(generator, 3, 7)):
        merchant = _merchant(holder, generator, pick(generator, kinds), city)
        price = holder.price(generator, merchant)
        yield Draft(time_s, merchant, price, _city(merchant, city), scenario="spree")
        time_s += 60 * between(generator, 2, 35)


def _large(holder: Holder, generator: Random, midnight_s: int, trip: Trip | None) -> Draft:
    """A television, a sofa, a dentist: many times what is usual, once."""
    city = trip.city if trip else holder.home
    merchant = _merchant(holder, generator, _LARGE.draw(generator), city)
    usual = max(1500, 3000 * holder.level_percent // 100)
    amount = min(log_normal(generator, usual * 12, 65), 2_000_000)
    time_s = midnight_s + _second_of_day(holder, generator, merchant)
    return Draft(time_s, merchant, amount, _city(merchant, city), scenario="large_purchase")


def _travel_costs(holder: Holder, generator: Random, midnight_s: int, trip: Trip) -> Iterator[Draft]:
    inn = pick(generator, holder.market.merchants("lodging", trip.city))
    time_s = midnight_s + _second_of_day(holder, generator, inn)
    yield Draft(time_s, inn, holder.price(generator, inn), trip.city, scenario="travel")
    if generator.random() < 0.4:
        airline = pick(generator, holder.market.merchants("airline", None))
        booked_s = time_s - between(generator, 1, 30) * DAY_S
        yield Draft(booked_s, airline, holder.price(generator, airline), None, scenario="travel")


def _merchant(holder: Holder, generator: Random, category: str, city: City) -> Merchant:
    if generator.random() < _ONE_OFF_SHARE:
        return unknown_merchant(generator, CATEGORIES[category])
    return holder.merchant(generator, category, city)


def _city(merchant: Merchant, city: City) -> City | None:
    return None if merchant.category.name in ONLINE else city


def _second_of_day(holder: Holder, generator: Random, merchant: Merchant) -> int:
    if generator.random() < _ODD_HOUR_SHARE:
        return between(generator, 0, DAY_S - 1)
    hour = int(RHYTHMS[merchant.category.rhythm].draw(generator)) + holder.shift_hours
    return hour % 24 * 3600 + int(generator.random() * 3600)


def _report(holder: Holder, generator: Random, draft: Draft) -> None:
    """Add what senders add to a payment: texts that name no place, currencies, devices."""
    if draft.city is not None and generator.random() < _UNPLACED_SHARE:
        draft.city = None
    if holder.reports != "nothing" and generator.random() < _UNRESOLVED_SHARE:
        draft.unresolved = unresolved_text(generator)
    if draft.city is not None and draft.city.country in _LOCAL_CURRENCIES and generator.random() < 0.5:
        draft.currency = _LOCAL_CURRENCIES[draft.city.country]
    if holder.devices and draft.merchant.category.name in ONLINE:
        new = generator.random() < 0.01
        draft.device_id = f"dev_{generator.getrandbits(40):010x}" if new else pick(generator, holder.devices)
