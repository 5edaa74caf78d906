"""The links of a message: on the public URL, one for each answer, alive as long as an answer means something."""

import pytest

from cardwatch.adapters.channels.links import LINK_LIFE_AFTER_MS, LinkMaker
from cardwatch.domain.answer_link import AnswerLink, LinkAction, read_link
from tests.builders import NOW_MS, make_message

KEY = b"a key of the tests, 32 bytes long"
NONCE = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "public_url", ["https://cards.example.com", "https://cards.example.com/", "http://localhost:8000/prod"]
)
def test_links_lead_to_the_page_and_read_back(public_url: str) -> None:
    """Each says its message, its answer, the message's nonce, and ends three days after the question."""
    message = make_message(nonce=NONCE)
    links = LinkMaker(public_url=public_url, key=KEY).links(message)
    ends_at_ms = NOW_MS + 1_800_000 + LINK_LIFE_AFTER_MS
    for url, action in ((links.confirm_url, LinkAction.CONFIRM), (links.deny_url, LinkAction.DENY)):
        base, _, token = url.rpartition("/answer/")
        assert base == public_url.rstrip("/")
        assert read_link(token, key=KEY) == AnswerLink(message.message_id, action, ends_at_ms, NONCE)


def test_links_are_the_same_each_time() -> None:
    """A mail that is sent again carries what the first one carried."""
    maker = LinkMaker(public_url="https://cards.example.com", key=KEY)
    assert maker.links(make_message(nonce=NONCE)) == maker.links(make_message(nonce=NONCE, attempts=3, version=9))
    assert maker.links(make_message(nonce=NONCE)) != maker.links(make_message(nonce="f" * 32))


def test_a_question_without_an_end_has_links_that_end() -> None:
    """They live for three days from when it was made."""
    links = LinkMaker(public_url="https://cards.example.com", key=KEY).links(
        make_message(nonce=NONCE, expires_at_ms=None)
    )
    link = read_link(links.deny_url.rpartition("/")[2], key=KEY)
    assert link is not None
    assert link.expires_at_ms == NOW_MS + LINK_LIFE_AFTER_MS


def test_links_show_nothing_of_themselves() -> None:
    """Printed by accident, they give nothing away."""
    links = LinkMaker(public_url="https://cards.example.com", key=KEY).links(make_message(nonce=NONCE))
    assert repr(links) == str(links) == "Links(...)"


def test_what_makes_no_links_is_refused() -> None:
    """A key that could be guessed, and a message without a nonce."""
    with pytest.raises(ValueError, match="16 bytes"):
        LinkMaker(public_url="https://cards.example.com", key=b"short")
    with pytest.raises(ValueError, match="nonce"):
        LinkMaker(public_url="https://cards.example.com", key=KEY).links(make_message(nonce=None))


def test_the_longest_link_can_be_mailed_and_read() -> None:
    """A payment id of 64 characters makes a link that mail programs and we ourselves take."""
    message = make_message("x" * 64 + ":challenge:email:question:12", nonce=NONCE)
    links = LinkMaker(public_url="https://cards.example.com", key=KEY).links(message)
    assert len(links.confirm_url) < 400
    assert read_link(links.confirm_url.rpartition("/")[2], key=KEY) is not None
