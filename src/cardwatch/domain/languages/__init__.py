"""The languages that cardholders are asked in: one JSON file each, named by its two-letter code.

To add a language:

1. Copy en.json to the new code ("nl.json"; ISO 639-1) and translate every text. The same braces stand in the same
   texts as in English, and nothing else: no link, no number, no word that says more than English does.
2. What is texted ("texts") has room for 160 letters, names included, so write it short. Questions name {yes}, the word
   for no and STOP, and every other text names STOP.
3. List whole messages under "yes", "no" and "stop": in lower case, without marks at the ends, with their accents
   (without them they are understood too). Leave out of "yes" whatever could also be a thanks, a maybe, mockery, or
   another word mistyped: a missing yes costs one more prompt, a wrong one costs the money. Leave out of "no" what says
   the opposite once its comma is lost ("no, es fraude"). What another language lists as the opposite counts as neither.
   A word for yes or no before a longer listed message, and a courtesy after any, are understood without being listed.
   "lookalikes" are words of the language that are one slip away from an answer ("noon").
4. Add at least 50 replies in that language to tests/data/replies.json, judged before they are tried, and run the tests
   in tests/domain.

Nothing else changes: every file in this folder is loaded, and the tests hold every file to these rules.
"""

from functools import cache
from pathlib import Path

import msgspec

DEFAULT_LANGUAGE = "en"
"""Used for accounts whose language is not shipped."""


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is texted; braces name what is filled in: institution, amount, merchant, card, yes (with its code)."""

    question: str
    reminder: str
    """The same question once more, where the first was not answered."""
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


class EmailTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is e-mailed; braces name institution, amount and merchant, never the card: its digits are asked for."""

    subject: str
    question: str
    confirm: str
    """Stands above the link that leads to a YES."""
    deny: str
    footer: str
    """What we never ask for, and what to do in doubt."""


class PushTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is pushed to a telephone; braces as in e-mails."""

    title: str
    body: str


class PageTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The page behind a link, and what it says once it was answered; braces as in e-mails."""

    title: str
    question: str
    confirm: str
    """On the button for YES."""
    deny: str
    last_four: str
    """Label of the field for the last four digits of the card."""
    wrong_last_four: str
    confirmed: str
    denied: str
    held: str
    """NO after YES: the payment is looked at again, the account is on hold."""
    review: str
    """YES after NO: an analyst looks again, nothing is released."""
    expired: str
    answered: str
    """A change of mind that comes too late to be acted on."""
    already: str
    """The answer was recorded before."""
    invalid: str
    """The link is not ours, or a newer one has replaced it."""
    unavailable: str
    """The answer could not be taken; it may be tried again."""


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language: whole messages that mean yes or no, in lower case, and the texts."""

    code: str
    name: str
    yes: tuple[str, ...]
    no: tuple[str, ...]
    stop: tuple[str, ...]
    """Messages that ask for no more texts, beside the keywords that every language shares (FCC 24-24)."""
    courtesies: tuple[str, ...]
    """What may follow any answer without changing it ("thank you")."""
    lookalikes: tuple[str, ...]
    """Words that are one slip away from a yes or a no and are neither."""
    yes_word: str
    """The word a question asks for."""
    no_word: str
    no_denies: bool
    """Whether the word for no, put before a sentence, may deny it ("no es fraude")."""
    card: str
    """Appended to the merchant when the card is known; names {last_four}."""
    unnamed_merchant: str
    """Stands for a merchant whose name has no letter that a text can carry."""
    texts: Texts
    email: EmailTexts
    push: PushTexts
    page: PageTexts


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
