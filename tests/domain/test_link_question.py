"""E-mails, notifications and pages: one line where one is due, no link, no long number, no card, whatever the names."""

import re
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.languages import Language, languages
from cardwatch.domain.link_question import (
    EMAIL_SUBJECT_LENGTH_MAX,
    PUSH_BODY_LENGTH_MAX,
    PageLine,
    add_links,
    page_line,
    page_texts,
    render_email,
    render_push,
)
from cardwatch.domain.money import AMOUNT_MINOR_MAX, MINOR_DIGITS, Money
from cardwatch.domain.question import Subject

WORST_NAMES = (
    "Store\r\nBcc: everyone@evil.example\r\n\r\nhello",
    "Store\nSubject: x\x85y\u2028z\u2029",
    "https://evil.example/login?code=123456 www.evil.example EVIL.EXAMPLE/pay",
    "HTTP\uff1a\uff0f\uff0fevil\uff0eexample",
    "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444 \u4f8b\u3048\u3002\u30c6\u30b9\u30c8 \u4f8b\uff61com",
    "javascript:alert(1) mailto:a@evil.example tel:+18005551212 //evil.example \\\\evil\\share",
    "4111 1111 1111 1111 1.800.555.1212 (800) 555-1212 \u0664\u0661\u0661\u0661\u0661\u0661\u0661\u0661",
    "\u202egnp.elpmaxe.live\u202c \u200b\u200f\ufeff\x00\x1b[31m",
    "Z" + "\u0334\u0335\u0336\u0337" * 30 + "algo",
    "<b>bold</b> <img src=x>",
    "{institution} {amount} {0} %s",
    "\u4e2d" * 500,
    "\U0001f3e6" * 500,
    "W" * 500,
    "",
)
LONGEST_AMOUNTS = [Money(AMOUNT_MINOR_MAX, currency) for currency in MINOR_DIGITS]
LINK = re.compile(r"(?i)https?:|\bwww\.\S|//|\\\\|@|[^\s.]\.[^\s.:?]|mailto:|\u3002\S")
CARD = "7391"

every_language = pytest.mark.parametrize("spoken", languages().values(), ids=lambda spoken: spoken.code)


def subject(**fields: object) -> Subject:
    """Return the guide's payment with a code and a card."""
    usual: dict[str, object] = {
        "institution": "Cardwatch",
        "amount": Money(150_000, "USD"),
        "merchant": "Caf\u00e9 \u4e2d\u6587",
        "card": CARD,
        "code": "48",
    }
    return Subject(**{**usual, **fields})  # type: ignore[arg-type]


def lines_of(about: Subject, code: str) -> list[str]:
    """Return everything that is said about a payment through a link; each item should be one line."""
    email, push = render_email(about, language_code=code), render_push(about, language_code=code)
    page = [page_line(line, about, language_code=code) for line in PageLine]
    return [email.subject, *email.body.split("\n\n"), push.title, push.body, *page]


def assert_harmless(about: Subject, code: str) -> None:
    """Check every rule that holds whatever the names are."""
    email, push = render_email(about, language_code=code), render_push(about, language_code=code)
    assert len(email.subject) <= EMAIL_SUBJECT_LENGTH_MAX
    assert len(push.body) <= PUSH_BODY_LENGTH_MAX
    assert len(email.body.split("\n\n")) == 2
    amount = about.amount.display
    for line in lines_of(about, code):
        assert not [sign for sign in line if category(sign)[0] == "C" or category(sign) in {"Zl", "Zp"}], line
        assert CARD not in line
        said = line.replace(amount, "")
        assert not LINK.search(said), line
        assert not re.search(r"\d(?:[\W_]{0,3}\d){5,}", said), line


@every_language
@pytest.mark.parametrize("name", WORST_NAMES, ids=range(len(WORST_NAMES)))
def test_the_worst_names_do_no_harm(name: str, spoken: Language) -> None:
    """As merchant and as institution: no line break, no link, no long number, and every length is kept."""
    assert_harmless(subject(merchant=name), spoken.code)
    assert_harmless(subject(institution=name), spoken.code)


@every_language
def test_the_longest_amounts_fit(spoken: Language) -> None:
    """At least 20 letters of the merchant survive the longest amount and the longest institution."""
    for amount in LONGEST_AMOUNTS:
        worst = subject(merchant="M" * 99, institution="W" * 99, amount=amount)
        assert_harmless(worst, spoken.code)
        email, push = render_email(worst, language_code=spoken.code), render_push(worst, language_code=spoken.code)
        assert "M" * 20 in email.subject
        assert "M" * 20 in push.body


@given(name=st.text(max_size=200), other=st.text(max_size=80), spoken=st.sampled_from(sorted(languages())))
def test_no_name_does_harm(name: str, other: str, spoken: str) -> None:
    """The same for whatever names there may be."""
    assert_harmless(subject(merchant=name, institution=other), spoken)


@every_language
def test_every_text_names_what_it_is_about(spoken: Language) -> None:
    """Question, subject, notification and outcome say how much and where; names are cut at their lengths."""
    about = subject(merchant="M" * 99, institution="W" * 99)
    email, push = render_email(about, language_code=spoken.code), render_push(about, language_code=spoken.code)
    assert f" {'M' * 60}" in email.body
    assert "M" * 61 not in email.body
    assert "W" * 40 in email.subject
    assert "W" * 41 not in email.body + email.subject + push.title
    for line in (PageLine.QUESTION, PageLine.CONFIRMED, PageLine.DENIED, PageLine.HELD, PageLine.EXPIRED):
        said = page_line(line, subject(), language_code=spoken.code)
        assert "$1,500.00" in said
        assert "Caf\u00e9 \u4e2d\u6587" in said


@every_language
def test_shipped_texts_hold_no_link_and_no_number(spoken: Language) -> None:
    """The sender adds links; a telephone number is read off the card."""
    shipped = lines_of(subject(institution="", merchant="", amount=Money(1, "USD")), spoken.code)
    assert not re.search(r"\d|://|www", " ".join(shipped).replace("$0.01", ""))


@every_language
def test_a_page_has_every_line_in_every_language(spoken: Language) -> None:
    """Each line is a sentence of that language's own, but for the label and the button nothing is left out."""
    assert {line.value for line in PageLine} == set(page_texts(spoken.code).__struct_fields__)
    said = [page_line(line, subject(), language_code=spoken.code) for line in PageLine]
    assert all(said)
    assert len(set(said)) == len(said)


def test_a_merchant_without_letters_is_called_a_shop() -> None:
    """What is left of a link or a number is no name."""
    said = page_line(PageLine.QUESTION, subject(merchant="https://evil.example"), language_code="de")
    assert said == "Wollten Sie $1,500.00 bei einem Laden zahlen?"


def test_the_email_reads_as_agreed() -> None:
    """The subject is the question; the body says what we never ask for."""
    email = render_email(subject(merchant="Suspicious Store"), language_code="en")
    assert email.subject == "Cardwatch: did you try to spend $1,500.00 at Suspicious Store?"
    question, footer = email.body.split("\n\n")
    assert "Did you make this payment?" in question
    assert "never asks for your password or your full card number" in footer
    assert "call the number on your card" in footer


@every_language
def test_links_stand_between_question_and_footer(spoken: Language) -> None:
    """Each answer has its label and its link; the body keeps its first and last paragraph."""
    body = render_email(subject(), language_code=spoken.code).body
    linked = add_links(
        body, confirm_link="https://a.example/y", deny_link="https://a.example/n", language_code=spoken.code
    )
    question, footer = body.split("\n\n")
    assert linked.split("\n\n") == [
        question,
        f"{spoken.email.confirm}:\nhttps://a.example/y",
        f"{spoken.email.deny}:\nhttps://a.example/n",
        footer,
    ]


def test_an_unknown_language_is_asked_in_english() -> None:
    """A tag with a region finds its language; one that is not shipped falls back."""
    assert page_texts("xx") == languages()["en"].page
    assert render_push(subject(), language_code="pt-BR").body.startswith("Tentou pagar")
