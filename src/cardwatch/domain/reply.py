"""What a cardholder's text means: a clear yes, a clear no, a keyword, or nothing clear.

The whole message must be one that the shipped languages list, all of them together; nothing is searched for inside a
sentence. Ambiguity is never a yes: what says both, asks back, or carries anything unknown is unclear.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache

import msgspec

from cardwatch.domain.languages import Language, languages


class Meaning(StrEnum):
    """What a reply says."""

    YES = "yes"
    NO = "no"
    STOP = "stop"
    HELP = "help"
    START = "start"
    UNCLEAR = "unclear"


class Reply(msgspec.Struct, frozen=True):
    """A reply understood, and the digits it carried beside a yes or no."""

    meaning: Meaning
    code: str | None = None


class Vocabulary(msgspec.Struct, frozen=True):
    """The messages of several languages together, without those that mean yes in one and no in another."""

    yes: frozenset[str]
    no: frozenset[str]


_LENGTH_MAX = 120
"""No listed message is nearly as long; automatic answers are."""

_STOP = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt-out", "opt out", "stop all"}
)
"""Opt-out keywords of the messaging providers and of FCC 24-24."""
_HELP = frozenset({"help", "info"})
_START = frozenset({"start", "unstop"})

_THUMB_UP, _THUMB_DOWN = "\N{THUMBS UP SIGN}", "\N{THUMBS DOWN SIGN}"
_THUMBS = {_THUMB_UP: Meaning.YES, _THUMB_DOWN: Meaning.NO}
_DOUBT = frozenset(
    "?\N{INVERTED QUESTION MARK}\N{ARABIC QUESTION MARK}\N{BLACK QUESTION MARK ORNAMENT}"
    "\N{WHITE QUESTION MARK ORNAMENT}\N{THINKING FACE}\N{SHRUG}\N{CROSS MARK}\N{NO ENTRY}\N{NO ENTRY SIGN}"
    "\N{OCTAGONAL SIGN}\N{FACE WITH NO GOOD GESTURE}\N{HEAVY MULTIPLICATION X}\N{BALLOT X}\N{HEAVY BALLOT X}"
)
"""Signs that take a clear answer back."""

_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc\u00b4`"), "'")
_TAIL_MARKS = frozenset(".,;:!'\"*_\u00a1\u3001\u3002")
_TAIL_CATEGORIES = frozenset({"So", "Pd", "Ps", "Pe", "Pi", "Pf", "Cf", "Mn"})
"""Emoji and what joins and colours them, dashes, brackets, quotation marks; never currency or arithmetic signs."""
_SKIN_TONES = range(0x1F3FB, 0x1F400)

_CODE = re.compile(r"#?([0-9]+)")
_WORD_WITH_CODE = re.compile(r"([^\W\d_]+)([0-9]{2})")
_TYPO_LENGTH_MIN = 2
_SWAP_LENGTH_MIN = 3
"""A swap in a word of two letters is another word ("is" is not "si")."""


def understand(body: str) -> Reply:
    """Return what a text means; never raises."""
    return understand_with(body, _shipped())


def understand_with(body: str, vocabulary: Vocabulary) -> Reply:
    """Return what a text means in a vocabulary."""
    if len(body) > _LENGTH_MAX:
        return Reply(Meaning.UNCLEAR)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", body).casefold()).translate(_APOSTROPHES)
    tokens = list(_tokens(text))
    keyword = _keyword(" ".join(tokens))
    if keyword is not None:
        return Reply(keyword)
    words, code = _split_code(tokens)
    meaning = Meaning.UNCLEAR if words is None else _meaning(words, vocabulary)
    if meaning is Meaning.UNCLEAR or not _DOUBT.isdisjoint(text):
        return Reply(Meaning.UNCLEAR)
    return Reply(meaning, code)


def vocabulary_of(shipped: Iterable[Language]) -> Vocabulary:
    """Put the messages of languages together; what they disagree about is in neither list."""
    spoken = list(shipped)
    yes = {phrase for language in spoken for phrase in language.yes}
    no = {phrase for language in spoken for phrase in language.no}
    return Vocabulary(frozenset(yes - no), frozenset(no - yes))


@cache
def _shipped() -> Vocabulary:
    return vocabulary_of(languages().values())


def _tokens(text: str) -> Iterator[str]:
    """Yield the words of a text without the marks at their ends, and every thumb as a word of its own."""
    for thumb in _THUMBS:
        text = text.replace(thumb, f" {thumb} ")
    for raw in text.split():
        word = raw if raw in _THUMBS else _without_tails(raw)
        if word:
            yield word


def _without_tails(word: str) -> str:
    start, end = 0, len(word)
    while start < end and _is_tail(word[start]):
        start += 1
    while end > start and _is_tail(word[end - 1]):
        end -= 1
    return word[start:end]


def _is_tail(character: str) -> bool:
    """Say whether a character may stand around a word without changing what it says."""
    return (
        character in _TAIL_MARKS
        or character in _DOUBT
        or ord(character) in _SKIN_TONES
        or unicodedata.category(character) in _TAIL_CATEGORIES
    )


def _keyword(phrase: str) -> Meaning | None:
    if phrase in _STOP:
        return Meaning.STOP
    if phrase in _HELP:
        return Meaning.HELP
    return Meaning.START if phrase in _START else None


def _split_code(tokens: Sequence[str]) -> tuple[list[str] | None, str | None]:
    """Separate the digits at either end from the words; (None, None) if there are several or they stand inside."""
    codes = [(index, match[1]) for index, token in enumerate(tokens) if (match := _CODE.fullmatch(token))]
    if not codes:
        joined = _WORD_WITH_CODE.fullmatch(tokens[0]) if len(tokens) == 1 else None
        return ([joined[1]], joined[2]) if joined else (list(tokens), None)
    index, code = codes[0]
    if len(codes) > 1 or index not in {0, len(tokens) - 1}:
        return None, None
    return [token for position, token in enumerate(tokens) if position != index], code


def _meaning(words: Sequence[str], vocabulary: Vocabulary) -> Meaning:
    """Return what words and thumbs say if they all say the same."""
    said = {_THUMBS[word] for word in words if word in _THUMBS}
    spoken = [word for word in words if word not in _THUMBS]
    if spoken:
        said.add(_phrase_meaning(spoken, vocabulary))
    return said.pop() if len(said) == 1 else Meaning.UNCLEAR


def _phrase_meaning(words: Sequence[str], vocabulary: Vocabulary) -> Meaning:
    phrase = " ".join(words)
    if phrase in vocabulary.yes:
        return Meaning.YES
    if phrase in vocabulary.no or all(word in vocabulary.no for word in words):
        return Meaning.NO
    if len(words) > 1:
        return Meaning.UNCLEAR
    meant = set(_meant(phrase))
    yes, no = not meant.isdisjoint(vocabulary.yes), not meant.isdisjoint(vocabulary.no)
    if yes == no:
        return Meaning.UNCLEAR
    return Meaning.YES if yes else Meaning.NO


def _meant(word: str) -> Iterator[str]:
    """Yield what a mistyped word may have been: one of a doubled letter dropped, two neighbours swapped back."""
    for index in range(len(word) - 1):
        first, second = word[index], word[index + 1]
        if not (first.isalpha() and second.isalpha()):
            continue
        if first == second and len(word) > _TYPO_LENGTH_MIN:
            yield word[:index] + word[index + 1 :]
        if first != second and len(word) >= _SWAP_LENGTH_MIN:
            yield word[:index] + second + first + word[index + 2 :]
