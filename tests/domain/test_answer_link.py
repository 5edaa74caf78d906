"""Links that answer a question: whole, unforgeable, and each for one answer only."""

import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain import answer_link
from cardwatch.domain.answer_link import (
    FORM_CLOCK_SKEW_MS,
    FORM_LIFE_MS,
    AnswerLink,
    LinkAction,
    form_token,
    form_token_holds,
    read_link,
    sign_link,
)

KEY = b"a key of the tests, 32 bytes long"
OTHER_KEY = b"another key of the tests, as long"
NOW_MS = 1_790_000_000_000
LETTERS = string.ascii_letters + string.digits + "-_"

links = st.builds(
    AnswerLink,
    message_id=st.text(st.characters(codec="utf-8"), max_size=80),
    action=st.sampled_from(LinkAction),
    expires_at_ms=st.integers(0, 2**62),
    nonce=st.binary(min_size=16, max_size=16).map(bytes.hex),
)


def link(**fields: object) -> AnswerLink:
    """Return the link that confirms chl_1."""
    usual = AnswerLink("chl_1:email:1", LinkAction.CONFIRM, NOW_MS + 1_800_000, "0123456789abcdef" * 2)
    return msgspec.structs.replace(usual, **fields)


@given(links, st.binary(min_size=1, max_size=80))
def test_a_link_says_what_was_signed(signed: AnswerLink, key: bytes) -> None:
    """Whatever was signed is read again with the same key."""
    assert read_link(sign_link(signed, key=key), key=key) == signed


@given(links)
def test_a_token_needs_no_quoting_in_a_path(signed: AnswerLink) -> None:
    """It is letters, digits, "-" and "_" with one dot, and no padding."""
    payload, signature = sign_link(signed, key=KEY).split(".")
    assert set(payload + signature) <= set(LETTERS)
    assert len(signature) == 43


@given(links, st.data())
def test_a_token_with_one_other_character_is_refused(signed: AnswerLink, data: st.DataObject) -> None:
    """Each character is signed, also the bits of the last one that base64 does not use."""
    token = sign_link(signed, key=KEY)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.one_of(st.sampled_from(LETTERS + ".= "), st.characters()).filter(lambda c: c != token[place]))
    assert read_link(token[:place] + other + token[place + 1 :], key=KEY) is None


def test_every_other_spelling_of_one_token_is_refused() -> None:
    """Each place with each other letter, with one letter less, one more, and with padding."""
    token = sign_link(link(), key=KEY)
    for place, letter in enumerate(token):
        assert read_link(token[:place] + token[place + 1 :], key=KEY) is None
        for other in set(LETTERS + ".=+/ %\n") - {letter}:
            assert read_link(token[:place] + other + token[place + 1 :], key=KEY) is None
            assert read_link(token[:place] + other + token[place:], key=KEY) is None
    for end in ("=", "==", ".", "\n", " ", "A"):
        assert read_link(token + end, key=KEY) is None


@given(links)
def test_the_token_for_yes_never_says_no(signed: AnswerLink) -> None:
    """The two links of a message share nothing that could be swapped."""
    confirm = sign_link(msgspec.structs.replace(signed, action=LinkAction.CONFIRM), key=KEY)
    deny = sign_link(msgspec.structs.replace(signed, action=LinkAction.DENY), key=KEY)
    (confirm_says, confirm_proof), (deny_says, deny_proof) = confirm.split("."), deny.split(".")
    assert read_link(f"{deny_says}.{confirm_proof}", key=KEY) is None
    assert read_link(f"{confirm_says}.{deny_proof}", key=KEY) is None


@given(links, st.binary(min_size=1, max_size=64))
def test_another_key_s_token_is_refused(signed: AnswerLink, key: bytes) -> None:
    """A link of another installation opens nothing here."""
    assert read_link(sign_link(signed, key=key + b"other"), key=key) is None


@given(st.one_of(st.text(), st.text(LETTERS + ".")))
def test_what_nobody_signed_is_refused_without_an_error(token: str) -> None:
    """Any text at all is answered with None."""
    assert read_link(token, key=KEY) is None


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a", "a.b.c", "\ud800." + "A" * 43, "é.é", "A" * 5_000_000, "\x00.\x00"],
    ids=lambda t: ascii(t[:12]),
)
def test_what_was_typed_is_refused_without_an_error(token: str) -> None:
    """Empty, half, without meaning in UTF-8, or huge."""
    assert read_link(token, key=KEY) is None
    assert not form_token_holds(token, sign_link(link(), key=KEY), key=KEY, now_ms=NOW_MS)
    assert not form_token_holds(f"{NOW_MS}.{'A' * 43}", token, key=KEY, now_ms=NOW_MS)


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"no msgpack", msgspec.msgpack.encode(["chl_1", "perhaps", 1, "n"]),
                                     msgspec.msgpack.encode(["chl_1", "deny", 1, "n", "more"]),
                                     msgspec.msgpack.encode({"message_id": "chl_1"})])  # fmt: skip
def test_what_was_signed_but_says_nothing_is_refused(payload: bytes) -> None:
    """Another version's link, signed with the same key, is refused like any other stranger."""
    printed = answer_link._printed(payload)
    proof = answer_link._signature(answer_link._LINK_PURPOSE, printed, key=KEY)
    assert read_link(f"{printed}.{proof}", key=KEY) is None


def test_a_link_is_over_from_its_last_millisecond_on() -> None:
    """The end does not belong to the life."""
    ends_at_ms = link().expires_at_ms
    assert not link().is_over(ends_at_ms - 1)
    assert link().is_over(ends_at_ms)


@given(links, st.integers(0, 2**50), st.integers(-FORM_CLOCK_SKEW_MS, FORM_LIFE_MS))
def test_a_form_holds_for_half_an_hour(signed: AnswerLink, made_at_ms: int, age_ms: int) -> None:
    """With its link, from a minute before it was made (clocks differ) to thirty minutes after."""
    token = sign_link(signed, key=KEY)
    form = form_token(token, key=KEY, now_ms=made_at_ms)
    assert form_token_holds(form, token, key=KEY, now_ms=made_at_ms + age_ms)


def test_a_form_is_over_and_cannot_be_made_ahead() -> None:
    """A millisecond past either end is past it."""
    token = sign_link(link(), key=KEY)
    form = form_token(token, key=KEY, now_ms=NOW_MS)
    assert not form_token_holds(form, token, key=KEY, now_ms=NOW_MS + FORM_LIFE_MS + 1)
    assert not form_token_holds(form, token, key=KEY, now_ms=NOW_MS - FORM_CLOCK_SKEW_MS - 1)


def test_a_form_belongs_to_its_link_and_key_and_time() -> None:
    """Another link's form, another key's form, and a form with another time are refused."""
    confirm, deny = (sign_link(link(action=action), key=KEY) for action in LinkAction)
    form = form_token(confirm, key=KEY, now_ms=NOW_MS)
    made_at, _, proof = form.partition(".")
    assert not form_token_holds(form, deny, key=KEY, now_ms=NOW_MS)
    assert not form_token_holds(form, confirm, key=OTHER_KEY, now_ms=NOW_MS)
    for time in (str(NOW_MS + 1), "0" + made_at, made_at + " ", "+" + made_at, "", "²" * 13):
        assert not form_token_holds(f"{time}.{proof}", confirm, key=KEY, now_ms=NOW_MS)


def test_links_and_forms_do_not_pass_for_each_other() -> None:
    """A form's proof signs no link, and a link's proof no form."""
    token = sign_link(link(), key=KEY)
    payload, _, proof = token.partition(".")
    form = form_token(payload, key=KEY, now_ms=NOW_MS)
    assert read_link(f"{payload}.{form.partition('.')[2]}", key=KEY) is None
    assert not form_token_holds(f"{NOW_MS}.{proof}", payload, key=KEY, now_ms=NOW_MS)
    assert read_link(form, key=KEY) is None
    as_link, as_form = (
        answer_link._signature(purpose, payload, key=KEY)
        for purpose in (answer_link._LINK_PURPOSE, answer_link._FORM_PURPOSE)
    )
    assert as_link != as_form
