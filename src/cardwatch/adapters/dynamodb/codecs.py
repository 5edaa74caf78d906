"""Records to bytes and back: small enough that an everyday payment with its decision stays under 1 KB, one write unit.

The bytes are zlib over JSON (a decision: MessagePack, for its vector) with a preset dictionary of the field names and
usual values, behind one byte that names the dictionary. A dictionary that was released is never edited: what was
written with it could not be read any more. Measured on the seed accounts' history with device, card and metadata:
payment 270 bytes (JSON 650), decision 350 (JSON 1,220).
"""

import zlib
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge
from cardwatch.domain.decision import Decision
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.label import Label
from cardwatch.domain.message import Message
from cardwatch.domain.transaction import Transaction

T = TypeVar("T")

_JSON_1: Final = (
    b'"note":"analyst_agrees":true,"available_at_ms":179,"source":"import","source":"chargeback","source":"analyst",'
    b'"source":"cardholder","value":"genuine","value":"fraud","error":"","nonce":"","language":"en","subject":"",'
    b'"provider_sid":"SM","attempts":1,"sent_at_ms":179,"due_at_ms":179,"body":"Did you pay at ? Reply YES or NO.",'
    b'"own_address":"+1","address":"+1","channel":"email","channel":"push","kind":"callback","kind":"reply","kind":"ack",'
    b'"kind":"reminder","kind":"question","direction":"inbound","direction":"outbound","state":"received",'
    b'"state":"delivered","state":"sending","message_id":":challenge:sms:question:1","default_action":"decline",'
    b'"prompts":1,"answer":"yes","answer":"no","answered_at_ms":179,"act_at_ms":179,"reminded":true,"step_at_ms":179,'
    b'"step":1,"steps":[{"channel":"sms","wait_s":,"remind_after_s":}],"last_text_at_ms":179,"asked_at_ms":179,"code":"",'
    b'"risk_minor":,"expires_at_ms":179,"created_at_ms":179,"state":"queued","state":"asked","phone":"+1",'
    b'"challenge_id":":challenge","version":1,"phone_changed_at_ms":179,"held_since_ms":179,"consent":true,'
    b'"push":{"fcm_token":"","endpoint":"https://","p256dh":"","auth":""},"channels":["sms","email"],"home":{"location":"'
    b'","place":{"time_zone":"America/New_York","time_zone":"America/Los_Angeles","language":"en","email":"@example.com",'
    b'"phone_number":"+1","name":"","metadata":{"order":"","card":"tok_","ip":"","device_id":"","channel":"pos",'
    b'"channel":"online","mcc":"5812","category":"fuel","category":"restaurant","category":"grocery","country":"GB",'
    b'"country":"US","merchant_place":{"x":,"location":", NY","location":", CA","location":", WA","place":{"x":-,"y":-,'
    b'"z":,"latitude":4,"longitude":-1,"name":", ","country":"US"},"account_currency":"EUR","utc_offset_s":0,'
    b'"account_currency":"USD","utc_offset_s":-25200,"fingerprint":"","received_at_ms":179,"timestamp_ms":179,'
    b'"merchant_id":"","merchant":"","amount":{"minor":,"currency":"EUR"},"amount":{"minor":,"currency":"USD"},'
    b'{"transaction_id":"txn_019,"user_id":"user_'
)
_PACKED_1: Final = (
    b"reasons\x96\xa4code\xb0AMOUNT_UNUSUAL\xa7feature\xa5value\xa5usual\xaccontribution\xa4text\xa8allow_list"
    b"\xa9deny_list\xa4rule\xa8fallback\xa6import\xa6review\xa7decline\xa9challenge\xa6detail\xa9outcome\xa7approve"
    b"\xaadecided_by\xa9threshold\xaddecided_at_ms\xcf\x00\x00\x01\xa0\xa5score\xcb?\xa9threshold\xcb?\xadmodel_version"
    b"\xb2default-2026-\xa9spec_hash\xd9@\xaestate_versions\x84\xafaccount:user_\xa9merchant:\xa7device:\xa5pair:user_"
    b"\x1f\xa6vector\xc5\x02h\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\xf8\x7f\x00\x00\x00\x00\x00\x00\x00@"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)
_DICTIONARIES: Final = {1: _JSON_1, 2: _PACKED_1}
_JSON: Final = 1
_PACKED: Final = 2
_LEVEL: Final = 9
_INFLATED_BYTES_MAX: Final = 4 << 20
"""Ten times what an item may hold: a damaged row must not fill the memory."""


def _pack(content: bytes, dictionary: int) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 15, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARIES[dictionary])
    return bytes([dictionary]) + packer.compress(content) + packer.flush()


def _unpack(body: bytes) -> bytes:
    if not body or body[0] not in _DICTIONARIES:
        raise zlib.error("no dictionary of that number")
    unpacker = zlib.decompressobj(15, _DICTIONARIES[body[0]])
    content = unpacker.decompress(body[1:], _INFLATED_BYTES_MAX)
    if not unpacker.eof:
        raise zlib.error("incomplete")
    return content


def _decoder(kind: type[T], decode: Callable[[bytes], T]) -> Callable[[bytes], T]:
    def decode_stored(body: bytes) -> T:
        try:
            return decode(_unpack(body))
        except (zlib.error, msgspec.DecodeError) as error:
            # The words of the decoder may quote what is stored, so its kind must do.
            raise StoreCorrupt(f"a stored {kind.__name__.lower()} cannot be read ({type(error).__name__})") from error

    return decode_stored


_to_json = msgspec.json.Encoder().encode
_to_msgpack = msgspec.msgpack.Encoder().encode


def encode(record: Transaction | Account | Challenge | Message | Label) -> bytes:
    """Return a record's bytes."""
    return _pack(_to_json(record), _JSON)


def encode_decision(decision: Decision) -> bytes:
    """Return a decision's bytes."""
    return _pack(_to_msgpack(decision), _PACKED)


decode_transaction = _decoder(Transaction, msgspec.json.Decoder(Transaction).decode)
decode_account = _decoder(Account, msgspec.json.Decoder(Account).decode)
decode_challenge = _decoder(Challenge, msgspec.json.Decoder(Challenge).decode)
decode_message = _decoder(Message, msgspec.json.Decoder(Message).decode)
decode_label = _decoder(Label, msgspec.json.Decoder(Label).decode)
decode_decision = _decoder(Decision, msgspec.msgpack.Decoder(Decision).decode)
