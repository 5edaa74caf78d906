"""What a cardholder's text means: a clear yes, a clear no, a keyword, or nothing clear.

The whole message must be one that the shipped languages list, all of them together, but for a code, a courtesy at its
end and a word for yes or no before it; nothing is searched for inside a sentence. Ambiguity is never a yes: what says
both, asks back, or carries anything unknown is unclear.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache
from itertools import product

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


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of several languages together, without those that mean yes in one and no in another."""

    yes: frozenset[str]
    no: frozenset[str]
    stop: frozenset[str] = frozenset()
    no_words: frozenset[str] = frozenset()
    """The plain word for no of each language, which may be repeated and mixed ("no no nein")."""
    courtesies: frozenset[tuple[str, ...]] = frozenset()
    """Words that may end any answer."""
    lookalikes: frozenset[str] = frozenset()
    """Words that are no answer, though they look like one mistyped."""


_LENGTH_MAX = 120
"""No listed message is nearly as long; automatic answers are."""

_STOP = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt-out", "opt out", "stop all"}
)
"""Opt-out keywords of the messaging providers and of FCC 24-24; a language's own wording stands in its file."""
_HELP = frozenset({"help", "info"})
_START = frozenset({"start", "unstop"})

_THUMB_UP, _THUMB_DOWN = "\N{THUMBS UP SIGN}", "\N{THUMBS DOWN SIGN}"
_THUMBS = {_THUMB_UP: Meaning.YES, _THUMB_DOWN: Meaning.NO}
_QUESTIONS = frozenset(
    "?\N{INVERTED QUESTION MARK}\N{ARABIC QUESTION MARK}\N{REVERSED QUESTION MARK}\N{BLACK QUESTION MARK ORNAMENT}"
    "\N{WHITE QUESTION MARK ORNAMENT}\N{THINKING FACE}\N{FACE WITH MONOCLE}\N{SHRUG}"
)
"""Signs that ask back: neither a yes nor a no stays clear."""
_REFUSALS = frozenset(
    "\N{CROSS MARK}\N{NEGATIVE SQUARED CROSS MARK}\N{NO ENTRY}\N{NO ENTRY SIGN}\N{OCTAGONAL SIGN}"
    "\N{HEAVY MULTIPLICATION X}\N{BALLOT X}\N{HEAVY BALLOT X}\N{BALLOT BOX}\N{BALLOT BOX WITH X}\N{SQUARED NG}"
    "\N{FACE WITH NO GOOD GESTURE}\N{RAISED HAND}\N{RAISED BACK OF HAND}\N{REVERSED HAND WITH MIDDLE FINGER EXTENDED}"
    "\N{HAND WITH INDEX AND MIDDLE FINGERS CROSSED}\N{WARNING SIGN}\N{SQUARED SOS}\N{POLICE CARS REVOLVING LIGHT}"
    "\N{LYING FACE}\N{CLOWN FACE}\N{UPSIDE-DOWN FACE}\N{EYES}\N{PILE OF POO}\N{SKULL}\N{SKULL AND CROSSBONES}"
    "😐😑😒🙄😏😬🤨😕🙁☹😟😮😯😲😳😦😧😨😰😥😢😭😱😖😣😞😓😩😫😤😡😠🤬👿🤢🤮🥴😵🤯"
)
"""Signs of refusal, alarm, doubt or mockery: they take a yes back, and leave a no what it is."""
_TAKEN_BACK = re.compile(
    r":'?-?\(|\)-?:"  # a sad face
    r"|\[\s*\]"  # a box that is not ticked
    r"|(?<!\w)!(?=\w)[^!]*$"  # "!yes" is a programmer's "not yes"; Spanish closes what it opens
    r"|\U0001f1f3\U0001f1f4"  # the flag whose letters are N and O
)
"""Sequences that do the same."""

_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc\u00b4`"), "'")
_TAIL_MARKS = frozenset(".,;:!'\"*_\u00a1\u3001\u3002\ufe0e\ufe0f")
"""The last two say how the emoji before them is drawn; any other combining mark changes its letter, or strikes it."""
_TAIL_CATEGORIES = frozenset({"So", "Pd", "Ps", "Pe", "Pi", "Pf", "Cf"})
"""Emoji and what joins them, dashes, brackets, quotation marks; never currency or arithmetic signs."""
_SKIN_TONES = range(0x1F3FB, 0x1F400)

_NO_SPACE_AFTER = re.compile(r"(?<=\w)[,.:;!]+(?=\w)")
"""What divides words where the space was left out ("yes,it was me"); the pieces of one word mean nothing."""
_CODE = re.compile(r"#?([0-9]+)")
_WORD_WITH_CODE = re.compile(r"([^\W\d_]+)[-\u2013\u2014#]*([0-9]{2})")
_CODE_WITH_WORD = re.compile(r"([0-9]{2})[-\u2013\u2014]*([^\W\d_]+)")
_COURTESY_WORDS_MAX = 4
_TYPO_LENGTH_MIN = 2
_SWAP_LENGTH_MIN = 3
"""A swap in a word of two letters is another word ("is" is not "si")."""


def understand(body: str) -> Reply:
    """Return what a text means; never raises."""
    return understand_with(body, _shipped())


def understand_with(body: str, vocabulary: Vocabulary) -> Reply:
    """Return what a text means in a vocabulary."""
    unclear = Reply(Meaning.UNCLEAR)
    if len(body) > _LENGTH_MAX:
        return unclear
    text = unicodedata.normalize("NFKC", body.translate(_APOSTROPHES))
    text = unicodedata.normalize("NFKC", text.casefold()).translate(_APOSTROPHES)
    tokens = list(_tokens(text))
    codes = [match[1] for token in tokens if (match := _CODE.fullmatch(token))]
    if len(codes) > 1:
        return unclear
    before, after = (_without_courtesy(words, vocabulary) for words in _around_code(tokens))
    keyword = _keyword(" ".join((*before, *after)), vocabulary)
    if keyword is not None:
        return Reply(keyword)
    said = {_meaning(words, vocabulary) for words in (before, after) if words}
    meaning = said.pop() if len(said) == 1 else Meaning.UNCLEAR
    if meaning is Meaning.UNCLEAR or not _QUESTIONS.isdisjoint(text):
        return unclear
    if meaning is Meaning.YES and (not _REFUSALS.isdisjoint(text) or _TAKEN_BACK.search(text)):
        return unclear
    return Reply(meaning, codes[0] if codes else None)


def vocabulary_of(shipped: Iterable[Language]) -> Vocabulary:
    """Put the messages of languages together, with and without accents; what they disagree about is in neither list."""
    spoken = list(shipped)
    yes = {form for language in spoken for phrase in _yes_messages(language) for form in _forms(phrase)}
    no = {form for language in spoken for phrase in _no_messages(language) for form in _forms(phrase)}
    stop = {form for language in spoken for phrase in language.stop for form in _forms(phrase)}
    polite = {form for language in spoken for phrase in language.courtesies for form in _forms(phrase)}
    return Vocabulary(
        yes=frozenset(yes - no - stop),
        no=frozenset(no - yes),
        stop=frozenset(stop - no) | _STOP,
        no_words=frozenset(language.no_word.casefold() for language in spoken) - yes,
        courtesies=frozenset(tuple(phrase.split()) for phrase in polite),
        lookalikes=frozenset(word for language in spoken for word in language.lookalikes),
    )


def _yes_messages(language: Language) -> Iterator[str]:
    """Yield what a language lists, and every sentence of it after a word for yes ("yep that was me").

    Words are not put together with words: "ja ja" is no yes.
    """
    openers = [phrase for phrase in language.yes if " " not in phrase and len(phrase) > 1]
    for phrase in language.yes:
        yield phrase
        if " " in phrase:
            yield from (f"{opener} {phrase}" for opener in openers if opener != phrase.split()[0])


def _no_messages(language: Language) -> Iterator[str]:
    """Yield what a language lists, and every sentence of it after the word for no, unless that may deny it."""
    word = language.no_word.casefold()
    opener = next((phrase for phrase in language.no if word in _forms(phrase)), word)
    for phrase in language.no:
        yield phrase
        if " " in phrase and (not language.no_denies or phrase.split()[0] == opener):
            yield f"{opener} {phrase}"


def _forms(phrase: str) -> Iterator[str]:
    """Yield a phrase as it is typed in a hurry: each word with its accents or without."""
    words = phrase.split()
    plain = ["".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c)) for word in words]
    return (" ".join(form) for form in product(*({word, bare} for word, bare in zip(words, plain, strict=True))))


@cache
def _shipped() -> Vocabulary:
    return vocabulary_of(languages().values())


def _tokens(text: str) -> Iterator[str]:
    """Yield the words of a text without the marks at their ends; every thumb and every code is a word of its own."""
    for thumb in _THUMBS:
        text = text.replace(thumb, f" {thumb} ")
    for raw in _NO_SPACE_AFTER.sub(" ", text).split():
        word = raw if raw in _THUMBS else _without_tails(raw)
        joined = _WORD_WITH_CODE.fullmatch(word) or _CODE_WITH_WORD.fullmatch(word)
        if joined:
            yield from joined.groups()
        elif word:
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
        or character in _QUESTIONS
        or ord(character) in _SKIN_TONES
        or unicodedata.category(character) in _TAIL_CATEGORIES
    )


def _keyword(phrase: str, vocabulary: Vocabulary) -> Meaning | None:
    if phrase in vocabulary.stop:
        return Meaning.STOP
    if phrase in _HELP:
        return Meaning.HELP
    return Meaning.START if phrase in _START else None


def _around_code(tokens: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words before the code and those after it; without a code, all of them and none."""
    at = next((index for index, token in enumerate(tokens) if _CODE.fullmatch(token)), len(tokens))
    return list(tokens[:at]), list(tokens[at + 1 :])


def _without_courtesy(words: Sequence[str], vocabulary: Vocabulary) -> Sequence[str]:
    """Return words without the longest courtesy at their end."""
    for length in range(min(len(words), _COURTESY_WORDS_MAX), 0, -1):
        if tuple(words[-length:]) in vocabulary.courtesies:
            return words[:-length]
    return words


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
    if phrase in vocabulary.no or all(word in vocabulary.no_words for word in words):
        return Meaning.NO
    if len(words) > 1 or phrase in vocabulary.lookalikes:
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
