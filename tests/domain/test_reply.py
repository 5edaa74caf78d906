"""What replies mean: the corpus in tests/data/replies.json, and rules over everything that can be typed."""

from pathlib import Path
from unicodedata import normalize

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.languages import Language, languages
from cardwatch.domain.reply import Meaning, Reply, understand, understand_with, vocabulary_of


class Case(msgspec.Struct, frozen=True):
    """One text with what it must be taken for."""

    body: str
    meaning: Meaning
    code: str | None = None


CORPUS = msgspec.json.decode((Path(__file__).parents[1] / "data" / "replies.json").read_bytes(), type=tuple[Case, ...])
SHIPPED = vocabulary_of(languages().values())
NO_WORDS = sorted(phrase for phrase in SHIPPED.no if " " not in phrase)
YES_WORDS = sorted(phrase for phrase in SHIPPED.yes if " " not in phrase)
ANY_WORD = st.sampled_from([*YES_WORDS, *NO_WORDS, "but", "and", "maybe", "not", "48", "please"])


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.body.encode("unicode_escape").decode()[:40])
def test_the_corpus_is_understood(case: Case) -> None:
    """Every listed text is taken for what it is."""
    assert understand(case.body) == Reply(case.meaning, case.code)


@pytest.mark.parametrize("spoken", languages().values(), ids=lambda spoken: spoken.code)
def test_every_listed_message_is_understood(spoken: Language) -> None:
    """What a language lists is read as it says, in any case and with a code, unless languages disagree about it."""
    for phrase in spoken.yes:
        assert understand(phrase.upper()).meaning is Meaning.YES, phrase
        assert understand(f"{phrase} 48") == Reply(Meaning.YES, "48")
    for phrase in spoken.no:
        assert understand(phrase.upper()).meaning is Meaning.NO, phrase
        assert understand(f"48 {phrase}") == Reply(Meaning.NO, "48")


def test_the_lists_are_written_as_they_are_compared() -> None:
    """Lower case, composed, single spaces, no marks: otherwise a phrase could never match."""
    for phrase in SHIPPED.yes | SHIPPED.no:
        assert phrase == normalize("NFKC", phrase.casefold())
        assert phrase == " ".join(phrase.split())


def test_no_yes_message_contains_a_word_that_means_no() -> None:
    """A listed yes must not contain a no, so that NO wins by construction."""
    for phrase in SHIPPED.yes:
        assert not set(phrase.split()) & set(NO_WORDS), phrase


def test_a_word_that_means_yes_in_one_language_and_no_in_another_is_unclear() -> None:
    """All shipped languages are matched together; a contradiction between them releases nothing."""
    english = languages()["en"]
    contrary = msgspec.structs.replace(english, code="xx", yes=("nope", "aye"), no=("yep",))
    both = vocabulary_of([english, contrary])
    assert understand_with("nope", both).meaning is Meaning.UNCLEAR
    assert understand_with("yep", both).meaning is Meaning.UNCLEAR
    assert understand_with("aye", both).meaning is Meaning.YES


@given(st.text(max_size=300))
def test_any_text_is_understood_as_something(body: str) -> None:
    """No text raises; a code is digits and comes only with a yes or a no."""
    reply = understand(body)
    assert reply.code is None or (reply.code.isdigit() and reply.meaning in {Meaning.YES, Meaning.NO})


@given(st.lists(ANY_WORD, max_size=4), st.sampled_from(NO_WORDS), st.lists(ANY_WORD, max_size=4))
def test_a_message_with_a_no_in_it_is_never_a_yes(before: list[str], no: str, after: list[str]) -> None:
    """Whatever stands around it, a word that means no keeps a message from releasing money."""
    assert understand(" ".join([*before, no, *after])).meaning is not Meaning.YES


@given(st.sampled_from(YES_WORDS), st.sampled_from("$+=<|/.@\u0443\u0435\u043e\u200b\u03bf0"), st.data())
def test_a_foreign_sign_inside_a_yes_makes_it_unclear(word: str, sign: str, data: st.DataObject) -> None:
    """A symbol, a digit or a letter of another alphabet put inside a word leaves nothing clear."""
    if len(word) > 1:
        position = data.draw(st.integers(1, len(word) - 1))
        assert understand(word[:position] + sign + word[position:]).meaning is Meaning.UNCLEAR


@given(st.sampled_from(YES_WORDS), st.sampled_from(["?", " ?", " \N{THINKING FACE}", "?!", " \N{CROSS MARK}"]))
def test_a_yes_that_asks_back_is_unclear(word: str, doubt: str) -> None:
    """A question mark or a sign of refusal takes the answer back."""
    assert understand(word + doubt).meaning is Meaning.UNCLEAR


@given(st.sampled_from(YES_WORDS), st.sampled_from(["!", "...", " :)", " \N{SLIGHTLY SMILING FACE}", ".", "\n"]))
def test_marks_after_a_yes_change_nothing(word: str, tail: str) -> None:
    """Punctuation and emoji at the end are no part of the answer."""
    assert understand(word + tail).meaning is Meaning.YES
