"""A question as an e-mail: two forms that say the same, headers that nobody can add to, nothing that is loaded."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.adapters.channels.links import LinkMaker
from cardwatch.adapters.channels.mail.text import compose, is_plain_address, mail_id, not_mailable, one_line
from cardwatch.domain.languages import languages
from cardwatch.domain.link_question import render_email
from cardwatch.domain.message import Message
from cardwatch.domain.money import Money
from cardwatch.domain.question import Subject
from cardwatch.ports import NotSent
from tests.builders import NOW_MS, make_message

LINKS = LinkMaker(public_url="https://cards.example.com", key=b"a key of the tests, 32 bytes long")
FROM = "cards@bank.example"
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(1)> & \"quoted\" 'it'"
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=200)


def question(*, merchant: str = "Suspicious Store", code: str = "en", **fields: object) -> Message:
    """Return a question as the service writes it."""
    text = render_email(
        Subject(institution="First Bank", amount=Money(150_000, "USD"), merchant=merchant), language_code=code
    )
    usual: dict[str, object] = {"channel": "email", "address": "ada@example.com", "own_address": FROM,
                                "subject": text.subject, "body": text.body, "language": code,
                                "nonce": "0123456789abcdef" * 2}  # fmt: skip
    return make_message("txn_1:challenge:email:question:1", **{**usual, **fields})


def composed(message: Message, *, institution: str = "First Bank") -> EmailMessage:
    """Return a mail as it is read at the other end."""
    made = compose(message, links=LINKS, from_address=FROM, institution=institution, now_ms=NOW_MS)
    return message_from_bytes(made.as_bytes(), policy=policy.default)


def part(mail: EmailMessage, kind: str) -> str:
    """Return the plain text or the HTML of a mail."""
    body = mail.get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


class Page(HTMLParser):
    """What an HTML reader sees: text outside the head, tags, and where links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag with its attributes."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        if data.strip():
            self.texts.append(data.strip())


@pytest.mark.parametrize("code", sorted(languages()))
def test_both_forms_say_the_question_the_answers_and_the_footer(code: str) -> None:
    """In the holder's language, each answer by its own link, in the same order."""
    message = question(code=code)
    mail = composed(message)
    texts = languages()[code].email
    asked, _, footer = message.body.partition("\n\n")
    links = LINKS.links(message)
    assert part(mail, "plain") == (
        f"{asked}\n\n{texts.confirm}:\n{links.confirm_url}\n\n{texts.deny}:\n{links.deny_url}\n\n{footer}\n"
    )
    page = Page(part(mail, "html"))
    assert page.texts[1:] == ["First Bank", asked, texts.confirm, texts.deny, footer]
    assert page.links == [links.confirm_url, links.deny_url]
    assert mail["Content-Language"] == code
    assert ("lang", code) in page.attributes


def test_the_headers_are_those_of_a_machine_s_mail() -> None:
    """Who, to whom, when, one id, and no answers by other machines."""
    message = question()
    mail = composed(message)
    assert dict(mail.items()) == {
        "From": "First Bank <cards@bank.example>",
        "To": "ada@example.com",
        "Subject": "First Bank: did you try to spend $1,500.00 at Suspicious Store?",
        "Date": "Mon, 21 Sep 2026 14:13:20 +0000",
        "Message-ID": f"<{mail_id(message, from_address=FROM)}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "MIME-Version": "1.0",
        "Content-Type": mail["Content-Type"],
        "Content-Language": "en",
    }
    assert mail.get_content_type() == "multipart/alternative"
    assert [p.get_content_type() for p in mail.iter_parts()] == ["text/plain", "text/html"]


def test_the_id_is_the_message_s_own() -> None:
    """The same at each attempt, another for another message, and it tells nothing of the payment."""
    assert composed(question(attempts=1))["Message-ID"] == composed(question(attempts=4))["Message-ID"]
    other = make_message("txn_2:challenge:email:question:1")
    assert mail_id(question(), from_address=FROM) != mail_id(other, from_address=FROM)
    assert re.fullmatch(r"[0-9a-f]{32}@bank\.example", mail_id(question(), from_address=FROM))


@given(subject=ANY_TEXT, institution=ANY_TEXT)
def test_no_text_adds_a_header_or_a_receiver(subject: str, institution: str) -> None:
    """Whatever stands in subject and institution, the headers are ours and the receiver is one."""
    mail = composed(question(subject=subject), institution=institution)
    usual = composed(question())
    assert sorted(mail.keys()) == sorted(usual.keys())
    assert [a.addr_spec for a in mail["To"].addresses] == ["ada@example.com"]
    assert [a.addr_spec for a in mail["From"].addresses] == [FROM]


@pytest.mark.parametrize(
    "name", ["Bänk, eve@example.com, " * 9, 'Bank" <eve@example.com>, "é' * 5, "Bank, N.A. (é) " * 9]
)
def test_a_long_name_stays_a_name(name: str) -> None:
    """Folded over lines and encoded, it does not become an address."""
    assert [a.addr_spec for a in composed(question(), institution=name)["From"].addresses] == [FROM]


@pytest.mark.parametrize("text", ["Bank\r\nBcc: eve@example.com", "Bank\nX: y", "Bank\x0b\x0c\x1c\x85\u2028Bcc: e@x.y"])
def test_a_line_break_in_a_header_is_a_space(text: str) -> None:
    """Nothing after it becomes a header."""
    mail = composed(question(subject=text), institution=text)
    assert mail["Bcc"] is None
    assert mail["X"] is None
    assert mail["Subject"] == one_line(text)


@given(ANY_TEXT)
def test_no_body_becomes_markup(body: str) -> None:
    """Tags, attributes and links of the HTML are the same for every text."""
    page = Page(part(composed(question(body=body)), "html"))
    usual = Page(part(composed(question()), "html"))
    assert page.tags == usual.tags
    assert page.attributes == usual.attributes


def test_a_hostile_name_stands_there_as_text() -> None:
    """It is read as it is spelt, in every place where it stands."""
    message = question(subject=HOSTILE, body=f"{HOSTILE}\n\n{HOSTILE}")
    page = Page(part(composed(message, institution=HOSTILE), "html"))
    assert page.tags == Page(part(composed(question()), "html")).tags
    assert page.texts == [HOSTILE, HOSTILE, HOSTILE, "Yes, it was me", "No, it was not me", HOSTILE]


def test_nothing_is_loaded_and_nobody_is_followed() -> None:
    """No image, script, form, font or style from elsewhere, and no address but the two links."""
    html = part(composed(question()), "html")
    page = Page(html)
    assert set(page.tags) <= {"html", "head", "meta", "title", "body", "table", "tr", "td", "a"}
    assert not re.search(r"url\(|@import|src=|background=", html)
    assert len(re.findall(r"https?:", html)) == 2
    assert ("content", "no-referrer") in page.attributes


def test_colours_are_left_to_the_screen() -> None:
    """Only the buttons have any, letters with their ground; the rest follows a dark screen."""
    html = part(composed(question()), "html")
    assert 'name="color-scheme" content="light dark"' in html
    grounds = re.findall(r"(?<!-)background-color:(#\w+)", html)
    assert grounds == ["#1d4ed8", "#b91c1c"]
    assert re.findall(r"[;\"]color:(#\w+)", html) == ["#ffffff", "#ffffff"]
    assert all(contrast_with_white(ground) >= 4.5 for ground in grounds)


def contrast_with_white(colour: str) -> float:
    """Return the contrast of white letters on a colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def test_lines_are_as_long_as_mail_allows() -> None:
    """Every line ends with CRLF and has at most 998 octets (RFC 5322, 2.1.1), in ASCII, whatever was written."""
    for message in (question(merchant="Ünïcödé " * 20, code="de"), question(subject="ß" * 500, body="é" * 5000)):
        raw = compose(message, links=LINKS, from_address=FROM, institution="Bänk " * 50, now_ms=NOW_MS).as_bytes()
        assert raw.isascii()
        assert raw.count(b"\n") == raw.count(b"\r\n")
        assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_a_language_that_is_not_shipped_falls_back() -> None:
    """The buttons are in the default language then, and also where none is given."""
    for language in ("xx", None):
        assert "Yes, it was me" in part(composed(question(language=language)), "html")


@pytest.mark.parametrize(
    "address",
    ["ada@example.com", "ada+cards@mail.example.co.uk", "o'hara@example.com", "a@b.c", "jörg@example.com",
     "x" * 64 + "@example.com", "ada@localhost", "ada_b-c=d@xn--mnchen-3ya.example"],
)  # fmt: skip
def test_a_plain_address_is_mailed(address: str) -> None:
    """What people have."""
    assert is_plain_address(address)
    assert not_mailable(question(address=address), now_ms=NOW_MS) is None
    assert composed(question(address=address))["To"] == address


@pytest.mark.parametrize(
    "address",
    ["", "@", "ada", "ada@", "@example.com", "a,b@example.com", "a<b@example.com", "a>b@example.com",
     "(ada)b@example.com", "a:b@example.com", "a;b@example.com", '"a b"@example.com', "a b@example.com",
     "a@b@example.com", "a@[127.0.0.1]", "ada@exa_mple.com", "ada@-example.com", "ada@example..com", "ada@example.com.",
     ".ada@example.com", "a..b@example.com", "ada@example.com\n", "ada\r\nRCPT TO:<eve@example.com>@example.com",
     "ada\x00@example.com", "é" * 33 + "@example.com",
     "x" * 65 + "@example.com", "ada@" + "x" * 64 + ".com", "ada@münchen.example", "\ud800@example.com"],
)  # fmt: skip
def test_what_is_not_one_address_is_not_mailed(address: str) -> None:
    """What could mean two receivers, a command, or nothing."""
    assert not is_plain_address(address)
    assert not_mailable(question(address=address), now_ms=NOW_MS) == NotSent("address not mailable", retryable=False)


def test_a_question_is_mailed_to_the_end_of_its_life() -> None:
    """Not from its last millisecond on; one without an end always."""
    message = question()
    assert message.expires_at_ms is not None
    assert not_mailable(message, now_ms=message.expires_at_ms - 1) is None
    assert not_mailable(message, now_ms=message.expires_at_ms) == NotSent("life ended", retryable=False)
    assert not_mailable(question(expires_at_ms=None), now_ms=2 * NOW_MS) is None
