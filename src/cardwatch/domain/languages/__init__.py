"""The languages that cardholders are asked in: one JSON file each, named by its two-letter code.

A new language is a new file with the same fields; nothing else changes, since every file in this folder is loaded.
"""

from functools import cache
from pathlib import Path

import msgspec

DEFAULT_LANGUAGE = "en"
"""Used for accounts whose language is not shipped."""


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is texted; braces name what is filled in: institution, amount, merchant, card, yes (with its code)."""

    question: str
    unclear: str
    """One more prompt after an answer that could be read either way."""
    code_needed: str
    """The answer was YES without the code that this question needs."""
    confirmed: str
    denied: str
    held: str
    """NO after YES: the payment is looked at again."""
    review: str
    """YES after NO: an analyst looks again, nothing is released."""
    given_up: str
    """Still unclear after one more prompt."""
    expired: str
    answered: str
    """A change of mind that comes too late to be acted on."""


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language: whole messages that mean yes or no, in lower case, and the texts."""

    code: str
    name: str
    yes: tuple[str, ...]
    no: tuple[str, ...]
    yes_word: str
    """The word a question asks for."""
    card: str
    """Appended to the merchant when the card is known; names {last_four}."""
    unnamed_merchant: str
    """Stands for a merchant whose name has no letter that a text can carry."""
    texts: Texts


@cache
def languages() -> dict[str, Language]:
    """Return every shipped language by its code."""
    files = sorted(Path(__file__).parent.glob("*.json"))
    shipped = [msgspec.json.decode(file.read_bytes(), type=Language) for file in files]
    return {language.code: language for language in shipped}


def language(code: str) -> Language:
    """Return the language of a tag ("pt", "pt-BR"), the default where it is not shipped."""
    shipped = languages()
    return shipped.get(code[:2].lower(), shipped[DEFAULT_LANGUAGE])
