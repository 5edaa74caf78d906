"""The question as it is put where it is answered through a link: e-mail, push, page.

All of Unicode may stand here, but names come from outside: they are cleaned as in texts and cut. No text shows the
card's digits, because the page asks for them; no text holds a link, because links are secrets that the sender adds.
What comes out is plain text: whatever shows it as HTML escapes it.
"""

import unicodedata
from enum import StrEnum

import msgspec

from cardwatch.domain.languages import Language, PageTexts, language
from cardwatch.domain.question import Subject, clean_name

MERCHANT_LENGTH_MAX = 60
INSTITUTION_LENGTH_MAX = 40

EMAIL_SUBJECT_LENGTH_MAX = 120
"""What mail programs show of a subject, generously."""

PUSH_BODY_LENGTH_MAX = 180
"""About what a lock screen shows unfolded."""

_MARKS_IN_A_ROW_MAX = 3
"""Combining marks on one letter: more than any script needs would be drawn over the lines around."""


class EmailText(msgspec.Struct, frozen=True):
    """An e-mail without its links."""

    subject: str
    """One line of at most 120 letters."""
    body: str
    """Plain text: the question and the footer, an empty line between them."""


class PushText(msgspec.Struct, frozen=True):
    """A notification on a telephone; what a tap on it opens is the sender's to add."""

    title: str
    body: str
    """At most 180 letters."""


class PageLine(StrEnum):
    """Which line of the page; the values name the fields of a language's page texts."""

    TITLE = "title"
    QUESTION = "question"
    CONFIRM = "confirm"
    DENY = "deny"
    LAST_FOUR = "last_four"
    WRONG_LAST_FOUR = "wrong_last_four"
    CONFIRMED = "confirmed"
    DENIED = "denied"
    HELD = "held"
    REVIEW = "review"
    EXPIRED = "expired"
    ANSWERED = "answered"
    ALREADY = "already"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


def render_email(subject: Subject, *, language_code: str) -> EmailText:
    """Return the question as an e-mail, in the given language or else the default one."""
    spoken = language(language_code)
    texts = spoken.email
    return EmailText(
        subject=_fill(texts.subject, subject, spoken, length_max=EMAIL_SUBJECT_LENGTH_MAX),
        body=_fill(f"{texts.question}\n\n{texts.footer}", subject, spoken),
    )


def add_links(body: str, *, confirm_link: str, deny_link: str, language_code: str) -> str:
    """Return an e-mail's body with a labelled link for each answer between the question and the footer."""
    texts = language(language_code).email
    question, _, footer = body.partition("\n\n")
    choices = (f"{texts.confirm}:\n{confirm_link}", f"{texts.deny}:\n{deny_link}")
    return "\n\n".join((question, *choices, footer))


def render_push(subject: Subject, *, language_code: str) -> PushText:
    """Return the question as a notification, in the given language or else the default one."""
    spoken = language(language_code)
    return PushText(
        title=_fill(spoken.push.title, subject, spoken),
        body=_fill(spoken.push.body, subject, spoken, length_max=PUSH_BODY_LENGTH_MAX),
    )


def page_texts(language_code: str) -> PageTexts:
    """Return the page's texts as they are shipped, with their braces, or else those of the default language."""
    return language(language_code).page


def page_line(line: PageLine, subject: Subject, *, language_code: str) -> str:
    """Return one line of the page with its names filled in."""
    spoken = language(language_code)
    template: str = getattr(spoken.page, line.value)
    return _fill(template, subject, spoken)


def _fill(template: str, subject: Subject, spoken: Language, *, length_max: int | None = None) -> str:
    """Return a text with its names, the merchant's shortened to what the length leaves it."""
    institution = _cut(clean_name(subject.institution), INSTITUTION_LENGTH_MAX)
    merchant = _cut(clean_name(subject.merchant), MERCHANT_LENGTH_MAX) or spoken.unnamed_merchant

    def filled(name: str) -> str:
        return template.format(institution=institution, amount=subject.amount.display, merchant=name)

    if length_max is None:
        return filled(merchant)
    return filled(_cut(merchant, max(0, length_max - len(filled("")))))


def _cut(name: str, length_max: int) -> str:
    """Return as much of a name as fits, without the marks that are piled onto one letter."""
    kept: list[str] = []
    marks = 0
    for character in name:
        marks = marks + 1 if unicodedata.category(character)[0] == "M" else 0
        if marks <= _MARKS_IN_A_ROW_MAX:
            kept.append(character)
    return "".join(kept[:length_max]).rstrip()
