"""Records to bytes and back: JSON by msgspec, so that a row can be read with any SQLite shell."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge
from cardwatch.domain.decision import Decision
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.label import Label
from cardwatch.domain.message import Message
from cardwatch.domain.transaction import Transaction

T = TypeVar("T")


def _decoder(kind: type[T]) -> Callable[[bytes], T]:
    decode = msgspec.json.Decoder(kind).decode

    def decode_stored(body: bytes) -> T:
        try:
            return decode(body)
        except msgspec.DecodeError as error:
            raise StoreCorrupt(f"a stored {kind.__name__.lower()} cannot be read: {error}") from error

    return decode_stored


encode = msgspec.json.Encoder().encode
decode_transaction = _decoder(Transaction)
decode_decision = _decoder(Decision)
decode_account = _decoder(Account)
decode_challenge = _decoder(Challenge)
decode_message = _decoder(Message)
decode_label = _decoder(Label)
