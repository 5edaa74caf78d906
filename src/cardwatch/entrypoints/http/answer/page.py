"""The page as HTML: one file without script, its stylesheet inside it and named in its policy by its hash.

Names come from outside and are escaped here, each where it is put in. Nothing is loaded from anywhere, so that nobody
else hears of the link.
"""

import base64
import hashlib
import html
from functools import cache
from importlib.resources import files
from string import Template

import msgspec

from cardwatch.domain.answer_link import LinkAction
from cardwatch.domain.languages import Language, language
from cardwatch.domain.link_question import PageLine, page_line
from cardwatch.domain.question import Subject
from cardwatch.entrypoints.http.answer.outcomes import Saying, Tone

FORM_FIELD = "form"
"""Carries the proof that the page was read."""

DIGITS_FIELD = "digits"
"""Carries the last four digits of the card."""

_MARKS = {
    Tone.DONE: '<path d="M5 12.5l4.5 4.5L19 7.5"/>',
    Tone.CAUTION: '<path d="M12 6.5v7"/><path d="M12 17.4v.2"/>',
}


class Form(msgspec.Struct, frozen=True):
    """The form of a page: one button, and for a YES about a known card the digits to type."""

    action: LinkAction
    token: str
    """What the form carries."""
    asks_digits: bool
    deny_href: str | None = None
    """Where the page of the link that denies is, seen from this one; None on that page itself."""


def headers() -> dict[str, str]:
    """Return the headers of every page: kept nowhere, framed nowhere, listed nowhere, its address told to nobody."""
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{_style_hash()}'; img-src data:; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow, noarchive",
    }


def question_page(subject: Subject, form: Form, *, saying: Saying | None, language_code: str) -> str:
    """Return the page that asks, with a line above the form where there is something to say first."""
    spoken = language(language_code)
    wrong_digits = saying is not None and saying.line is PageLine.WRONG_LAST_FOUR
    notice = "" if saying is None else _notice(saying, subject, spoken)
    question = page_line(PageLine.QUESTION, subject, language_code=spoken.code)
    return _page(
        spoken,
        institution=subject.institution,
        title=page_line(PageLine.TITLE, subject, language_code=spoken.code),
        content=f"<h1>{html.escape(question)}</h1>{notice}{_form(form, spoken, wrong_digits=wrong_digits)}",
    )


def outcome_page(subject: Subject, saying: Saying, *, language_code: str) -> str:
    """Return the page that says what came of an answer, or why none is taken."""
    spoken = language(language_code)
    text = page_line(saying.line, subject, language_code=spoken.code)
    return _page(
        spoken,
        institution=subject.institution,
        title=page_line(PageLine.TITLE, subject, language_code=spoken.code),
        content=_outcome(text, saying.tone),
    )


def bare_page(saying: Saying, *, institution: str, language_code: str) -> str:
    """Return a page that is about no payment: of what is behind its link nothing is known, or nothing to be told."""
    spoken = language(language_code)
    text: str = getattr(spoken.page, saying.line.value)
    return _page(spoken, institution=institution, title=institution, content=_outcome(text, saying.tone))


def _page(spoken: Language, *, institution: str, title: str, content: str) -> str:
    return _template("page.html").substitute(
        language=spoken.code,
        title=html.escape(title),
        style=_style(),
        institution=html.escape(institution),
        content=content,
    )


def _form(form: Form, spoken: Language, *, wrong_digits: bool) -> str:
    confirms = form.action is LinkAction.CONFIRM
    return _template("form.html").substitute(
        form_field=FORM_FIELD,
        form_token=html.escape(form.token),
        digits=_digits(spoken, wrong=wrong_digits) if form.asks_digits else "",
        action=form.action.value,
        button=html.escape(spoken.page.confirm if confirms else spoken.page.deny),
    ) + _deny_instead(form, spoken)


def _deny_instead(form: Form, spoken: Language) -> str:
    """Return the way to the other answer: a notification opens one page only."""
    if form.deny_href is None:
        return ""
    return f'<a class="instead" href="{html.escape(form.deny_href)}">{html.escape(spoken.page.deny)}</a>'


def _digits(spoken: Language, *, wrong: bool) -> str:
    return _template("digits.html").substitute(
        field=DIGITS_FIELD,
        label=html.escape(spoken.page.last_four),
        wrong=' aria-invalid="true" aria-describedby="notice" autofocus' if wrong else "",
    )


def _notice(saying: Saying, subject: Subject, spoken: Language) -> str:
    text = html.escape(page_line(saying.line, subject, language_code=spoken.code))
    return f'<p class="notice" id="notice" role="alert">{text}</p>'


def _outcome(text: str, tone: Tone) -> str:
    role = "status" if tone is Tone.DONE else "alert"
    mark = f'<svg class="mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{_MARKS[tone]}</svg>'
    return f'<div class="outcome {tone}" role="{role}">{mark}<h1>{html.escape(text)}</h1></div>'


@cache
def _template(name: str) -> Template:
    return Template(files(__package__).joinpath(name).read_text("utf-8").strip())


@cache
def _style() -> str:
    return files(__package__).joinpath("page.css").read_text("utf-8")


@cache
def _style_hash() -> str:
    return base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
