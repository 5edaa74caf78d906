"""The five accounts that a fresh system is seeded with.

The phone numbers lie in the range 555-0100..0199 that the North American Numbering Plan keeps for fiction, and the
e-mail domain is reserved by RFC 2606: no text and no letter can reach anyone by accident.
"""

import msgspec

from cardwatch.domain.account import Account, Home
from cardwatch.learning.simulate.cities import HOME_CITIES, City


class Person(msgspec.Struct, frozen=True):
    """An invented cardholder."""

    user_id: str
    name: str
    phone_number: str
    email: str
    city: str
    persona: str


_PEOPLE = (
    Person("user_001", "Alice Nguyen", "+12065550101", "alice.nguyen@example.com", "Seattle", "commuter"),
    Person("user_002", "Ben Larsen", "+16085550102", "ben.larsen@example.com", "Madison", "student"),
    Person("user_003", "Carla Jackson", "+13125550103", "carla.jackson@example.com", "Chicago", "family"),
    Person("user_004", "Daniel Ortiz", "+15125550104", "daniel.ortiz@example.com", "Austin", "retiree"),
    Person("user_005", "Emma Fischer", "+15035550105", "emma.fischer@example.com", "Portland", "commuter"),
)

SEED_PERSONAS: dict[str, str] = {person.user_id: person.persona for person in _PEOPLE}
"""Whose habits each seed account has, by user id."""


def seed_accounts(*, created_at_ms: int) -> tuple[Account, ...]:
    """Return the accounts `user_001` to `user_005` as they are created."""
    cities = {city.name: city for city in HOME_CITIES}
    return tuple(_account(person, cities[person.city], created_at_ms) for person in _PEOPLE)


def _account(person: Person, city: City, created_at_ms: int) -> Account:
    return Account(
        user_id=person.user_id,
        name=person.name,
        phone_number=person.phone_number,
        email=person.email,
        time_zone=city.time_zone,
        home=Home(location=city.label, place=city.place),
        consent=True,
        created_at_ms=created_at_ms,
    )
