"""The texts that go to a cardholder: each fits one GSM-7 segment, and none carries a link, a number or a login code.

A segment holds 160 septets of the GSM 03.38 alphabet; one letter outside it turns the text into UCS-2 with 70 letters
a segment, so what the alphabet lacks is transliterated. The merchant is what gives way when a text is too long.
"""

import re
import unicodedata
from enum import StrEnum

import msgspec

from cardwatch.domain.languages import language
from cardwatch.domain.money import Money

SEGMENT_SEPTETS = 160
"""One text message (3GPP TS 23.040: 140 octets are 160 septets)."""

INSTITUTION_SEPTETS_MAX = 24
"""An institution's name is cut here, so that the longest amount leaves room for a merchant."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""GSM 03.38 basic alphabet (3GPP TS 23.038, 6.2.1): one septet each."""

_EXTENSION = frozenset("\f^{}\\[~]|€")
"""Its extension table (6.2.1.1): an escape and one more, two septets each."""

_SPELLED = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032\u00b4`", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict(zip("çłŁđĐð\u0131\u00d7", "clLdDdix", strict=True)),
    "…": "...",
    "•": "*",
    "·": " ",
    "₹": "Rs ",
    "Þ": "Th",
    "þ": "th",
    "œ": "oe",
    "Œ": "OE",
    "ẞ": "SS",
    "©": "(c)",
    "®": "(R)",
    "™": "TM",
}
"""What has a usual spelling: quotation marks, dashes, and letters that do not decompose."""

_LINK = re.compile(r"\b(?:[a-z][a-z0-9+.-]*://|www\.)\S*", re.IGNORECASE)
_LINK_SIGNS = re.compile(r"[/\\@]|[.:\u3002]+(?=[^\s.:\u3002])")
"""What joins the parts of an address; full stops (browsers take the Chinese one too) and colons may end a word."""
_LONG_NUMBER = re.compile(r"\d(?:[\W_]{0,3}\d){5,}")
"""Six digits and more, however divided: a card number, a phone number or a login code may look like that."""
_LAST_FOUR = re.compile(r"[0-9]{4}")


class TextKind(StrEnum):
    """Which text; the values name the fields of a language's texts."""

    QUESTION = "question"
    REMINDER = "reminder"
    UNCLEAR = "unclear"
    CODE_NEEDED = "code_needed"
    CONFIRMED = "confirmed"
    DENIED = "denied"
    HELD = "held"
    REVIEW = "review"
    GIVEN_UP = "given_up"
    EXPIRED = "expired"
    ANSWERED = "answered"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a text is about and in whose name it speaks."""

    institution: str
    amount: Money
    merchant: str
    card: str | None = None
    """Shown only if it is four digits; a token is not."""
    code: str | None = None
    """What a YES must carry, if anything."""


def render(kind: TextKind, subject: Subject, *, language_code: str) -> str:
    """Return a text in one GSM-7 segment, in the given language or else the default one."""
    spoken = language(language_code)
    last_four = last_four_of(subject.card)
    template: str = getattr(spoken.texts, kind.value)

    def filled(merchant: str) -> str:
        return transliterate(
            template.format(
                institution=institution,
                amount=subject.amount.display,
                merchant=merchant,
                card=spoken.card.format(last_four=last_four) if last_four else "",
                yes=f"{spoken.yes_word} {subject.code}" if subject.code else spoken.yes_word,
            )
        )

    institution = truncate(transliterate(subject.institution).strip(), INSTITUTION_SEPTETS_MAX)
    room = SEGMENT_SEPTETS - septets(filled(""))
    merchant = clean_merchant(subject.merchant) or transliterate(spoken.unnamed_merchant)
    return filled(truncate(merchant, room))


def last_four_of(card: str | None) -> str | None:
    """Return the last four digits of a payment's card, None where only a token is known, or nothing."""
    return card if card and _LAST_FOUR.fullmatch(card) else None


def septets(text: str) -> int:
    """Return the length of a text in GSM-7 septets; raises ValueError if GSM-7 lacks one of its characters."""
    length = 0
    for character in text:
        if character not in _BASIC and character not in _EXTENSION:
            raise ValueError(f"GSM-7 lacks U+{ord(character):04X}")
        length += 2 if character in _EXTENSION else 1
    return length


def transliterate(text: str) -> str:
    """Return a text in GSM-7 characters: the same letter without its accent, a spelling, or nothing."""
    return "".join(_gsm7(character) for character in unicodedata.normalize("NFC", text))


def truncate(text: str, septets_max: int) -> str:
    """Return as much of a GSM-7 text as fits."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if character in _EXTENSION else 1
        if used > septets_max:
            return text[:index].rstrip()
    return text


def clean_merchant(name: str) -> str:
    """Return a merchant's name as it may stand in a text: a clean name, transliterated."""
    return clean_name(transliterate(_visible(name)))


def clean_name(name: str) -> str:
    """Return a name in its own letters, on one line: no link, nothing a phone turns into one, no long number.

    Empty if no letter or digit is left.
    """
    unlinked = _LINK_SIGNS.sub(" ", _LINK.sub(" ", _visible(name)))
    words = " ".join(_LONG_NUMBER.sub(" ", unlinked).split())
    return words if any(character.isalnum() for character in words) else ""


def _visible(text: str) -> str:
    """Return a text composed, with a space for every control character, line break and invisible sign."""
    composed = unicodedata.normalize("NFKC", text)
    return "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in composed)


def _gsm7(character: str) -> str:
    """Return the GSM-7 characters that stand for one character."""
    if character in _BASIC or character in _EXTENSION:
        return character
    if character in _SPELLED:
        return _SPELLED[character]
    parts = unicodedata.normalize("NFKD", character)
    return "".join(part for part in parts if part in _BASIC or part in _EXTENSION)
