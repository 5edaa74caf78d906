"""Kinds of people by what they pay for, how often, and how far from home; all numbers are judgement."""

import msgspec

from cardwatch.learning.simulate.draw import Weighted, weights


class Persona(msgspec.Struct, frozen=True):
    """How one kind of person spends."""

    name: str
    share: int
    """How common it is, as a weight."""
    payments_per_day_tenths: int
    level_percent: int
    """Its amounts against the category's median."""
    loyalty_percent: int
    """How often it goes where it always goes."""
    trip_every_days: int
    """Mean days between trips away from home."""
    abroad_percent: int
    """How many of its trips leave the country."""
    spending: Weighted
    """Categories by how often each is paid for."""


PERSONAS: dict[str, Persona] = {
    persona.name: persona
    for persona in (
        Persona(
            "student",
            18,
            16,
            65,
            70,
            90,
            15,
            weights(
                "coffee:14 groceries:12 fast_food:20 restaurant:6 transit:12 entertainment:6 clothing:4 pharmacy:3 "
                "online_shopping:8 delivery:9 gaming:5 personal_care:2 electronics:1"
            ),
        ),
        Persona(
            "commuter",
            24,
            21,
            95,
            82,
            80,
            20,
            weights(
                "coffee:20 groceries:13 fast_food:8 restaurant:9 transit:18 fuel:9 pharmacy:3 clothing:3 home:2 "
                "entertainment:3 online_shopping:7 delivery:4 personal_care:2 electronics:1 health:2"
            ),
        ),
        Persona(
            "family",
            24,
            22,
            115,
            80,
            120,
            15,
            weights(
                "groceries:28 fuel:12 restaurant:8 fast_food:9 pharmacy:6 clothing:6 home:6 entertainment:4 health:4 "
                "online_shopping:11 delivery:4 electronics:1 coffee:5 personal_care:2"
            ),
        ),
        Persona(
            "retiree",
            14,
            9,
            85,
            88,
            110,
            25,
            weights(
                "groceries:30 pharmacy:14 restaurant:12 fuel:9 home:7 health:9 coffee:7 online_shopping:4 clothing:3 "
                "personal_care:4 entertainment:3"
            ),
        ),
        Persona(
            "traveller",
            7,
            19,
            140,
            55,
            18,
            50,
            weights(
                "restaurant:22 coffee:14 groceries:8 fast_food:7 transit:16 entertainment:4 clothing:4 fuel:4 "
                "online_shopping:8 delivery:6 airline:2 lodging:2 pharmacy:2"
            ),
        ),
        Persona(
            "high_earner",
            8,
            22,
            230,
            70,
            35,
            45,
            weights(
                "restaurant:22 groceries:13 coffee:10 clothing:8 home:6 electronics:4 online_shopping:11 delivery:6 "
                "entertainment:5 personal_care:5 health:4 fuel:5 airline:1"
            ),
        ),
        Persona(
            "occasional",
            20,
            2,
            120,
            60,
            150,
            20,
            weights(
                "groceries:18 fuel:8 restaurant:12 clothing:9 electronics:5 home:8 online_shopping:18 entertainment:6 "
                "pharmacy:7 health:5 fast_food:6 coffee:4"
            ),
        ),
    )
}

PERSONA_SHARES = Weighted([(persona.name, persona.share) for persona in PERSONAS.values()])
