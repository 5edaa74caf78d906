"""Stored bytes: what was written stays readable, and what cannot be read says so without quoting it."""

import hashlib

import pytest

from cardwatch.adapters.dynamodb import codecs
from cardwatch.domain.errors import StoreCorrupt
from tests.builders import make_account, make_challenge, make_decision, make_label, make_message, make_transaction

RELEASED = {
    1: "8fe91c61367197ec",
    2: "8575b18882750f16",
}
"""SHA-256 of the dictionaries, first 16 digits: edited ones could not read what was written with them."""


def test_released_dictionaries_stay_as_they_are() -> None:
    """A new one takes a new number."""
    digests = {n: hashlib.sha256(content).hexdigest()[:16] for n, content in codecs._DICTIONARIES.items()}
    assert {number: digests[number] for number in RELEASED} == RELEASED


def test_every_kind_of_record_comes_back() -> None:
    """To the last bit."""
    decision = make_decision(score=0.1 + 0.2, vector=bytes(range(256)))
    assert codecs.decode_transaction(codecs.encode(make_transaction())) == make_transaction()
    assert codecs.decode_account(codecs.encode(make_account())) == make_account()
    assert codecs.decode_challenge(codecs.encode(make_challenge())) == make_challenge()
    assert codecs.decode_message(codecs.encode(make_message())) == make_message()
    assert codecs.decode_label(codecs.encode(make_label())) == make_label()
    assert codecs.decode_decision(codecs.encode_decision(decision)) == decision


@pytest.mark.parametrize("cut", [0, 1, 2, 40, -1])
def test_damaged_bytes_are_corrupt_and_not_quoted(cut: int) -> None:
    """Cut short anywhere, or of another record's kind."""
    body = codecs.encode(make_account())[:cut]
    with pytest.raises(StoreCorrupt) as caught:
        codecs.decode_account(body)
    assert "Ada" not in str(caught.value)


def test_another_kind_of_record_is_corrupt() -> None:
    """A message is no account."""
    with pytest.raises(StoreCorrupt, match="a stored account cannot be read"):
        codecs.decode_account(codecs.encode(make_message()))
