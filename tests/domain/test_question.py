"""The texts: one GSM-7 segment each, whatever the merchant, the amount and the language."""

import re
from string import Formatter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.languages import Language, languages
from cardwatch.domain.money import AMOUNT_MINOR_MAX, MINOR_DIGITS, Money
from cardwatch.domain.question import (
    SEGMENT_SEPTETS,
    Subject,
    TextKind,
    clean_merchant,
    clean_name,
    render,
    septets,
    transliterate,
    truncate,
)
from cardwatch.domain.reply import Meaning, understand

WORST_NAMES = (
    "Ünïcödé Ĝrëåt Шоп 中文 Café «Österreich» № 7 with a very long name that goes on and on and on and on and on",
    "{" * 200,
    "€" * 200,
    "https://evil.example/login?code=123456 www.evil.example EVIL.EXAMPLE/pay",
    "\x00\x1b\u202e\u200b\n\r\t",
    "4111 1111 1111 1111",
    "中文商店",
    "",
    "{institution} {yes}",
)
LONGEST_AMOUNTS = [Money(AMOUNT_MINOR_MAX, currency) for currency in MINOR_DIGITS]


def subject(**fields: object) -> Subject:
    """Return the guide's payment with a code and a card."""
    usual: dict[str, object] = {
        "institution": "Cardwatch",
        "amount": Money(150_000, "USD"),
        "merchant": "Suspicious Store",
        "card": "1234",
        "code": "48",
    }
    return Subject(**{**usual, **fields})  # type: ignore[arg-type]


def test_the_question_reads_as_agreed() -> None:
    """The English question names institution, amount, merchant, card and the ways to answer."""
    assert render(TextKind.QUESTION, subject(code=None), language_code="en") == (
        "Cardwatch: Did you try to spend $1,500.00 at Suspicious Store card ending 1234? Reply YES or NO. "
        "STOP to opt out."
    )
    assert "Reply YES 48 or NO." in render(TextKind.QUESTION, subject(), language_code="en")
    assert "ending" not in render(TextKind.QUESTION, subject(card="tok_9f8e7d"), language_code="en")


@pytest.mark.parametrize("spoken", languages().values(), ids=lambda spoken: spoken.code)
@pytest.mark.parametrize("kind", TextKind)
def test_every_text_fits_one_segment(kind: TextKind, spoken: Language) -> None:
    """Every template in every language stays in 160 septets with the worst names and the longest amounts."""
    for merchant in WORST_NAMES:
        for amount in LONGEST_AMOUNTS:
            worst = subject(merchant=merchant, amount=amount, institution="Ω Bänk of {the} World and All Its Suburbs")
            text = render(kind, worst, language_code=spoken.code)
            assert septets(text) <= SEGMENT_SEPTETS, text
            assert "STOP" in text
            assert not re.search(r"(?i)https?:|www\.|[a-z]\.[a-z]{2,}", text), text


@pytest.mark.parametrize("spoken", languages().values(), ids=lambda spoken: spoken.code)
@pytest.mark.parametrize("kind", TextKind)
def test_the_longest_amount_leaves_room_for_a_merchant(kind: TextKind, spoken: Language) -> None:
    """At least 20 letters of the merchant survive the longest amount, the longest institution, card and code."""
    worst = subject(merchant="M" * 99, amount=Money(AMOUNT_MINOR_MAX, "VND"), institution="W" * 99)
    longest_name = render(kind, worst, language_code=spoken.code)
    assert longest_name.count("M" * 20) >= 1


@pytest.mark.parametrize("spoken", languages().values(), ids=lambda spoken: spoken.code)
def test_a_question_carries_its_code_and_the_word_for_yes(spoken: Language) -> None:
    """Question, reminder, prompt and request for the code all say what to answer."""
    for kind in (TextKind.QUESTION, TextKind.REMINDER, TextKind.UNCLEAR, TextKind.CODE_NEEDED):
        assert f"{spoken.yes_word} 48" in render(kind, subject(), language_code=spoken.code)


@pytest.mark.parametrize("spoken", languages().values(), ids=lambda spoken: spoken.code)
def test_a_question_says_both_answers(spoken: Language) -> None:
    """The first question, its reminder and the prompt name the words for yes and no, which mean that, and STOP."""
    for kind in (TextKind.QUESTION, TextKind.REMINDER, TextKind.UNCLEAR):
        words = render(kind, subject(code=None), language_code=spoken.code).replace(".", " ").split()
        assert {spoken.yes_word, spoken.no_word, "STOP"} <= set(words)
    assert understand(spoken.yes_word).meaning is Meaning.YES
    assert understand(spoken.no_word).meaning is Meaning.NO


def test_the_reminder_asks_the_same_again() -> None:
    """It says that it is a reminder and carries what the question carries."""
    assert render(TextKind.REMINDER, subject(), language_code="en") == (
        "Cardwatch: Reminder: did you try to spend $1,500.00 at Suspicious Store card ending 1234? Reply YES 48 or NO. "
        "STOP to opt out."
    )


def braces(value: Any, path: str = "") -> dict[str, set[str]]:
    """Return the names in braces of every text in a language's file, by where the text stands."""
    if isinstance(value, dict):
        return {name: found for key, part in value.items() for name, found in braces(part, f"{path}.{key}").items()}
    if not isinstance(value, str):
        return {}
    return {path: {name for _, name, _, _ in Formatter().parse(value) if name is not None}}


@pytest.mark.parametrize("spoken", languages().values(), ids=lambda spoken: spoken.code)
def test_every_language_fills_the_same_braces_as_english(spoken: Language) -> None:
    """No text of a language lacks an amount or a name that English gives, nor names one that nothing fills."""
    assert braces(msgspec.to_builtins(spoken)) == braces(msgspec.to_builtins(languages()["en"]))


def test_every_file_is_named_by_its_language() -> None:
    """The code inside a file is the one it is found by, in two small letters."""
    assert all(re.fullmatch(r"[a-z]{2}", code) and spoken.code == code for code, spoken in languages().items())


def test_an_unknown_language_is_asked_in_english() -> None:
    """A tag with a region finds its language; one that is not shipped falls back."""
    assert render(TextKind.QUESTION, subject(), language_code="xx").startswith("Cardwatch: Did you")
    assert "Tentou pagar" in render(TextKind.QUESTION, subject(), language_code="pt-BR")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Café Zürich", "Café Zürich"),
        ("Año Nuevo, S.A.", "Año Nuevo, S A."),
        ("Łódź “Sklep” \u2013 2", 'Lodz "Sklep" - 2'),
        ("amazon.com", "amazon com"),
        ("Shop https://x.example/a?b=1 now", "Shop now"),
        ("www.evil.example Shop", "Shop"),
        ("\uff41mazon\uff0e\uff43om", "amazon com"),
        ("Pay 4111-1111-1111-1111", "Pay"),
        ("CODE 123456", "CODE"),
        ("Store 12345", "Store 12345"),
        ("line\none\x07two", "line one two"),
        ("中文商店", ""),
        ("!!!", ""),
        ("call 1.800.555.1212", "call"),
        ("call (800) 555-1212 now", "call ( now"),
        ("//evil.example mailto:a@b.example", "evil example mailto a b example"),
        ("\\\\server\\share", "server share"),
        ("Dots... and St. John", "Dots... and St. John"),
    ],
)
def test_a_merchant_is_cleaned(name: str, expected: str) -> None:
    """Accents stay where the alphabet has them; links, long numbers and control characters go."""
    assert clean_merchant(name) == expected


def test_septets_count_the_extension_table_twice() -> None:
    """The euro sign and braces take two septets; what the alphabet lacks is refused."""
    assert septets("a@\n") == 3
    assert septets("€{}") == 6
    with pytest.raises(ValueError, match="U\\+0107"):
        septets("ć")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Łódź “Sklep” \u2013 2", "Łódź “Sklep” \u2013 2"),
        ("中文商店", "中文商店"),
        ("中文。商店.com", "中文 商店 com"),
        ("a\u200bb\u202ec\u2028d", "a b c d"),
        ("Pay ٤١١١١١١١", "Pay"),
        ("\x00\r\n", ""),
    ],
)
def test_a_name_is_cleaned_in_its_own_letters(name: str, expected: str) -> None:
    """Where all of Unicode may stand, a name keeps its letters and loses the same as in a text."""
    assert clean_name(name) == expected


@given(st.text(max_size=80))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """What is clean stays as it is, so nothing that was taken out comes together anew."""
    assert clean_name(clean_name(text)) == clean_name(text)
    assert clean_merchant(clean_merchant(text)) == clean_merchant(text)


@given(st.text(max_size=80))
def test_transliteration_always_yields_gsm7(text: str) -> None:
    """Any text becomes one whose septets can be counted, and doing it again changes nothing."""
    plain = transliterate(text)
    assert septets(truncate(plain, 20)) <= 20
    assert transliterate(plain) == plain


@given(merchant=st.text(max_size=80), institution=st.text(max_size=60), kind=st.sampled_from(TextKind))
def test_no_merchant_or_institution_breaks_a_text(merchant: str, institution: str, kind: TextKind) -> None:
    """Whatever the names, a text is one segment and carries no line break."""
    text = render(kind, subject(merchant=merchant, institution=institution), language_code="de")
    assert septets(text) <= SEGMENT_SEPTETS
    assert not re.search(r"\d(?:[ -]?\d){9,}", clean_merchant(merchant))
