"""Twilio's signature: published and recorded vectors, rotation, and everything malformed."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.adapters.channels.twilio.signature import parse_form, sign, verify
from tests.fakes.twilio_server import signature

PUBLISHED_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PUBLISHED = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


class Vector(msgspec.Struct, frozen=True):
    """A signed request with the verdict it deserves."""

    auth_token: str
    url: str
    params: dict[str, str]
    signature: str
    valid: bool


def contracts() -> Path:
    """Return the folder of the shared contracts."""
    beside = Path(__file__).parents[5] / "shared" / "contracts"
    return Path(os.environ.get("CARDWATCH_CONTRACTS", beside)) / "twilio"


def judged(url: str, params: Mapping[str, str], given_signature: str | None, *tokens: str) -> bool:
    """Verify a post to an address, split into public address and path as the route does."""
    parts = urlsplit(url)
    public_url = f"{parts.scheme}://{parts.netloc}"
    return verify(
        public_url=public_url,
        raw_path_and_query=url.removeprefix(public_url),
        body_params=list(params.items()),
        signature=given_signature,
        tokens=tokens,
    )


def test_twilios_published_example_is_valid() -> None:
    """The example of Twilio's security page, and the one with a repeated parameter."""
    assert judged(PUBLISHED_URL, PUBLISHED, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12345")
    repeated = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
    assert verify(
        public_url="https://mycompany.com",
        raw_path_and_query="/myapp.php?foo=1&bar=2",
        body_params=repeated,
        signature="IK+Dwps556ElfBT0I3Rgjkr1wJU=",
        tokens=["12345"],
    )


def test_every_recorded_vector_is_judged_right() -> None:
    """Blank fields, unknown fields, ports, stages in the path, line breaks: valid and tampered ones."""
    file = contracts() / "signature_vectors.json"
    if not file.is_file():
        pytest.skip(f"no signature vectors at {file}; set CARDWATCH_CONTRACTS")
    vectors = msgspec.json.decode(file.read_bytes(), type=list[Vector])
    assert {vector.valid for vector in vectors} == {True, False}
    for vector in vectors:
        assert judged(vector.url, vector.params, vector.signature, vector.auth_token) is vector.valid, vector.url
        posted = parse_form(urlencode(vector.params).encode())
        assert posted == tuple(vector.params.items()), "as they come, read and judged"


def test_either_token_is_good_while_they_are_rotated() -> None:
    """The old one stops to be with its removal."""
    url = "https://api.example.com/webhook/twilio"
    signed = sign(url, PUBLISHED.items(), token="old")
    assert judged(url, PUBLISHED, signed, "new", "old")
    assert judged(url, PUBLISHED, signed, "old", "new")
    assert not judged(url, PUBLISHED, signed, "new")
    assert not judged(url, PUBLISHED, signed, "", "new")
    assert not judged(url, PUBLISHED, signed)


@pytest.mark.parametrize("bad", [None, "", "=", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "ÄÖÜ", "\ud800", "x" * 10_000])
def test_a_missing_or_malformed_signature_is_refused(bad: str | None) -> None:
    """Never an error, always no."""
    assert not judged(PUBLISHED_URL, PUBLISHED, bad, "12345")


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


@given(
    st.one_of(st.none(), ANY_TEXT), ANY_TEXT, ANY_TEXT, st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=4), ANY_TEXT
)
def test_nothing_that_is_posted_raises(
    given_signature: str | None, public_url: str, path: str, params: list[tuple[str, str]], token: str
) -> None:
    """Headers, addresses and fields of any characters are a plain no: half surrogate pairs and broken hosts, too."""
    assert not verify(
        public_url=public_url,
        raw_path_and_query=path,
        body_params=params,
        signature=given_signature,
        tokens=[token, "12345"],
    )


@given(st.binary(max_size=120))
def test_no_body_raises(body: bytes) -> None:
    """What is no form is None; what is one reads the same when it is written again."""
    form = parse_form(body)
    assert form is None or parse_form(urlencode(form).encode()) == form


@pytest.mark.parametrize(
    "url",
    [
        "http://mycompany.com/myapp.php?foo=1&bar=2",
        "https://mycompany.com/myapp.php?foo=1&bar=2&more=1",
        "https://mycompany.com/myapp.php/?foo=1&bar=2",
        "https://MYcompany.com/myapp.php?foo=1&bar=2",
        "https://mycompany.com:99999/myapp.php?foo=1&bar=2",
    ],
)
def test_another_address_is_refused(url: str) -> None:
    """Scheme, host, path and query are signed."""
    assert not judged(url, PUBLISHED, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12345")


def test_a_port_that_is_the_schemes_own_may_be_signed_or_not() -> None:
    """Twilio is inconsistent about it."""
    signed = signature("https://api.example.com:443/hook", PUBLISHED, token="t")
    assert judged("https://api.example.com/hook", PUBLISHED, signed, "t")


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=5), st.text(max_size=8))
def test_what_is_signed_is_valid_and_what_is_changed_is_not(params: dict[str, str], token: str) -> None:
    """Signing and verifying agree with an independent signature; one field more breaks it."""
    url = "https://pay.example.org:8443/prod/webhook/twilio"
    token += "t"
    signed = signature(url, params, token=token)
    assert sign(url, params.items(), token=token) == signed
    assert judged(url, params, signed, token)
    assert not judged(url, {**params, "Zusatz": "x"}, signed, token) or "Zusatz" in params


def test_a_form_keeps_empty_fields_and_repetitions() -> None:
    """What the signature covers must all be there."""
    assert parse_form(b"Body=&From=%2B1202&MediaUrl=a&MediaUrl=b&Body2=+yes+") == (
        ("Body", ""),
        ("From", "+1202"),
        ("MediaUrl", "a"),
        ("MediaUrl", "b"),
        ("Body2", " yes "),
    )
    assert parse_form(b"") == ()


@pytest.mark.parametrize("body", [b"\xff", b"Body=%ff", b"Body", b"a=1&" * 300, b"{}"])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    """Not decodable, not name and value, or far more fields than Twilio sends."""
    assert parse_form(body) is None
