"""What the page says and how it is built: each result has its line, each name is escaped, each colour can be read."""

import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from cardwatch.domain.answer_link import LinkAction
from cardwatch.domain.languages import languages
from cardwatch.domain.link_question import PageLine
from cardwatch.domain.money import Money
from cardwatch.domain.question import Subject
from cardwatch.entrypoints.http.answer.outcomes import INVALID, NOT_TAKEN, SAYINGS, UNAVAILABLE, Saying
from cardwatch.entrypoints.http.answer.page import Form, bare_page, headers, outcome_page, question_page
from cardwatch.entrypoints.http.answer.reader_language import reader_language
from cardwatch.services.answer_link import LinkResult
from cardwatch.services.reply_turn import Result

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)",
    "</title></h1><form action=//evil.example>",
    "{institution} $content ${title} $$ %s",
    "&lt;b&gt; &amp; &#x3c;",
    "\u202egnp.elpmaxe\u202c \u2066a\u2069 \u200f\u061c",
    "متجر السعادة",
)
MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")

every_language = pytest.mark.parametrize("code", sorted(languages()))


class Reader(HTMLParser):
    """Notes what a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))
        self._hidden += tag in ("style", "title")

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        """Note what is read."""
        self.text += "" if self._hidden else data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a kind."""
        return [attributes for found, attributes in self.tags if found == tag]


def subject(merchant: str = "Suspicious Store", institution: str = "Cardwatch") -> Subject:
    """Return the guide's payment."""
    return Subject(institution=institution, amount=Money(150_000, "USD"), merchant=merchant, card="7391")


def ask_page(merchant: str = "Suspicious Store", *, code: str = "en", saying: Saying | None = None) -> str:
    """Return the page that asks for a YES with the card's digits."""
    return question_page(
        subject(merchant), Form(LinkAction.CONFIRM, "1.proof", asks_digits=True), saying=saying, language_code=code
    )


def pages_of(merchant: str, code: str = "en") -> Iterator[str]:
    """Yield every page that a payment can have."""
    for saying in (None, NOT_TAKEN, UNAVAILABLE, *SAYINGS.values()):
        yield ask_page(merchant, code=code, saying=saying)
        deny = Form(LinkAction.DENY, "1.proof", asks_digits=False)
        yield question_page(subject(merchant), deny, saying=saying, language_code=code)
        if saying is not None:
            yield outcome_page(subject(merchant), saying, language_code=code)
            yield bare_page(saying, institution=merchant, language_code=code)


# What is said


def test_every_result_has_a_line() -> None:
    """Whoever adds a result says here what its reader is told; no two results pass for each other."""
    assert set(SAYINGS) == {*Result, *LinkResult}
    assert not {result.value for result in Result} & {result.value for result in LinkResult}


@pytest.mark.parametrize(
    ("result", "line", "status"),
    [
        (Result.CONFIRMED, PageLine.CONFIRMED, 200),
        (Result.DENIED, PageLine.DENIED, 200),
        (Result.HELD_AGAIN, PageLine.HELD, 200),
        (Result.REOPENED, PageLine.REVIEW, 200),
        (Result.LATE, PageLine.EXPIRED, 200),
        (Result.TOO_LATE_TO_CHANGE, PageLine.ANSWERED, 200),
        (Result.REPEATED, PageLine.ALREADY, 200),
        (LinkResult.USED, PageLine.ALREADY, 200),
        (LinkResult.WRONG_DIGITS, PageLine.WRONG_LAST_FOUR, 422),
        (LinkResult.LOCKED, PageLine.INVALID, 404),
        (LinkResult.INVALID, PageLine.INVALID, 404),
        (Result.PHONE_CHANGED, PageLine.INVALID, 404),
        (Result.UNMATCHED, PageLine.INVALID, 404),
    ],
)
def test_results_are_said_as_what_they_are(result: Result | LinkResult, line: PageLine, status: int) -> None:
    """One line and one status each."""
    assert (SAYINGS[result].line, SAYINGS[result].status) == (line, status)


def test_only_what_was_taken_looks_done() -> None:
    """A line that leaves something to do never carries the sign of what is done."""
    done = {result for result, saying in SAYINGS.items() if saying.tone == "done"}
    taken = {Result.CONFIRMED, Result.DENIED, Result.HELD_AGAIN, Result.REOPENED}
    assert done == taken | {Result.REPEATED, Result.DUPLICATE, LinkResult.USED}


@every_language
def test_bare_lines_name_nothing(code: str) -> None:
    """What is said without a payment has no brace that stays open."""
    for saying in (INVALID, UNAVAILABLE):
        page = bare_page(saying, institution="Cardwatch", language_code=code)
        assert html.escape(getattr(languages()[code].page, saying.line.value)) in page
        assert not re.search(r"\{[a-z_]+\}", Reader(page).text)


# How it is built


@every_language
def test_page_is_in_the_holders_language(code: str) -> None:
    """Its language is named, and all that is read is of that language."""
    texts = languages()[code].page
    reader = Reader(ask_page(code=code))
    assert reader.all("html") == [{"lang": code}]
    assert texts.confirm in reader.text
    assert texts.last_four in reader.text
    assert "$1,500.00" in reader.text
    assert "Suspicious Store" in reader.text
    assert "Cardwatch" in reader.text


def test_field_for_the_digits_is_made_for_them() -> None:
    """Digits from a number pad, four of them, remembered by nobody, under a label; wrong ones are told of."""
    first = Reader(ask_page()).all("input")[1]
    assert first["inputmode"] == "numeric"
    assert first["autocomplete"] == "off"
    assert first["pattern"] == "[0-9]{4}"
    assert first["type"] == "text"
    assert {"required", "aria-invalid"} & set(first) == {"required"}
    again = Reader(ask_page(saying=SAYINGS[LinkResult.WRONG_DIGITS]))
    told = again.all("input")[1]
    assert told["aria-invalid"] == "true"
    assert told["aria-describedby"] == "notice"
    assert next(p for p in again.all("p") if p.get("id") == "notice")["role"] == "alert"
    assert again.all("label") == [{"for": told["id"]}]


@pytest.mark.parametrize("merchant", HOSTILE)
def test_names_are_text_and_nothing_else(merchant: str) -> None:
    """No name adds an element, an attribute or a direction to any page."""
    usual = [[(tag, sorted(attributes)) for tag, attributes in Reader(page).tags] for page in pages_of("Shop")]
    for page, expected in zip(pages_of(merchant), usual, strict=True):
        assert [(tag, sorted(attributes)) for tag, attributes in Reader(page).tags] == expected
    for page in (ask_page(merchant), outcome_page(subject(merchant), SAYINGS[Result.LATE], language_code="en")):
        assert not MARKS.search(page)


def test_nothing_is_loaded_and_nothing_runs() -> None:
    """No script, no address, no frame, no style that the policy does not know by its hash."""
    for page in pages_of("Shop"):
        reader = Reader(page)
        assert {tag for tag, _ in reader.tags} <= {
            "html", "head", "meta", "title", "link", "style", "body", "main", "p", "h1", "form", "input", "label",
            "button", "div", "svg", "path",
        }  # fmt: skip
        assert not any(name in ("src", "style", "action") for _, attributes in reader.tags for name in attributes)
        assert [link["href"] for link in reader.all("link")] == ["data:,"]
        assert all(form["method"] == "post" for form in reader.all("form"))
        assert "://" not in page


def test_policy_allows_the_stylesheet_alone() -> None:
    """Everything else is refused by default."""
    policy = headers()["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in policy
    assert "unsafe" not in policy
    assert {"form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; "))


# Who reads it


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "en"), ("de", "de"), ("de-AT", "de"), ("DE-at;q=0.5", "de"), ("pt-BR,pt;q=0.9,en;q=0.8", "pt"),
        ("nl,fr;q=0.7,es;q=0.9", "es"), ("nl", "en"), ("*", "en"), ("de;q=0", "en"), ("en;q=0.2, it;q=0.3", "it"),
        ("fr, de", "fr"), ("de;q=2, fr;q=0.1", "fr"), ("de;q=x", "en"), ("zh-Hans-CN, es-419;q=0.4", "es"),
        (",,;;==", "en"), ("d" * 10_000, "en"), ("nl," * 32 + "de", "en"), ("\u202ede", "en"), ("de ; q = 0.5", "de"),
    ],
)  # fmt: skip
def test_reader_language_is_the_best_that_is_shipped(header: str, expected: str) -> None:
    """By weight, then by order; what cannot be read is passed over."""
    assert reader_language(header) == expected


PAIRS = (
    ("ink", "sheet"), ("muted", "sheet"), ("accent-ink", "accent"), ("accent-ink", "accent-strong"),
    ("sheet", "plain"), ("sheet", "plain-strong"), ("ink", "caution-soft"),
)  # fmt: skip
"""Letters and what they stand on: 4.5 to 1 (WCAG 2.2, 1.4.3)."""

SIGNS = (("field", "sheet"), ("caution", "sheet"), ("caution", "caution-soft"), ("done", "done-soft"),
         ("accent", "sheet"))  # fmt: skip
"""Borders and signs: 3 to 1 (WCAG 2.2, 1.4.11)."""


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(scheme: int) -> None:
    """In both schemes."""
    style = files("cardwatch.entrypoints.http.answer").joinpath("page.css").read_text("utf-8")
    blocks = re.findall(r":root \{([^}]*)\}", style)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[scheme]))
    assert [pair for pair in PAIRS if contrast(colours[pair[0]], colours[pair[1]]) < 4.5] == []
    assert [pair for pair in SIGNS if contrast(colours[pair[0]], colours[pair[1]]) < 3] == []


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
