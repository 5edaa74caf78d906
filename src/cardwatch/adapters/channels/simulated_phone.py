"""The phone of a system without a provider: it takes every text, and what is typed on it comes in like Twilio's posts.

The typed reply is the same signed form that Twilio sends, with a token made at each start, so that there is one
inbound route and one check of its signature.
"""

import hashlib
from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from cardwatch.adapters.channels.twilio.signature import sign
from cardwatch.domain.message import Direction, Message, MessageState
from cardwatch.ports import Messages, OnUnknown, Randomness, Sent

ACCOUNT_SID = "AC" + "0" * 32
"""Of no Twilio account; marks the posts as simulated."""

SIGNATURE_HEADER = "X-Twilio-Signature"
_NOT_ARRIVED = frozenset(
    {MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN, MessageState.FAILED, MessageState.EXPIRED}
)


class TypedReply(msgspec.Struct, frozen=True):
    """A form post that carries what was typed, ready to be sent to `url`."""

    url: str
    headers: dict[str, str]
    body: bytes
    message_sid: str


class SimulatedPhone:
    """The channel "sms" to phones that exist only here; their texts are the store's conversation."""

    name = "sms"

    on_unknown = OnUnknown.LOOK_UP

    def __init__(self, *, store: Messages, own_address: str, randomness: Randomness) -> None:
        self.own_address = own_address
        self.auth_token = randomness.token(16)
        """What typed replies are signed with; the inbound route must know it."""
        self._store = store
        self._randomness = randomness

    def send(self, message: Message) -> Sent:
        """Take a text at once; the same text again gets the same sid."""
        return Sent("SM" + hashlib.sha256(message.message_id.encode()).hexdigest()[:32])

    def find(self, message: Message) -> Sent | None:
        """Look a text up in the conversation: it arrived if it was recorded as taken."""
        for known in self._store.conversation(message.address, limit=200):
            if known.message_id == message.message_id and known.provider_sid is not None:
                return Sent(known.provider_sid)
        return None

    def shown(self, phone: str, *, limit: int = 50) -> Sequence[Message]:
        """Return the texts that a phone shows, oldest first: what arrived and what was typed."""
        conversation = self._store.conversation(phone, limit=limit)
        return [m for m in conversation if m.direction is Direction.INBOUND or m.state not in _NOT_ARRIVED]

    def typed(self, *, url: str, phone: str, body: str) -> TypedReply:
        """Return the post of a reply typed on a phone; `url` is the inbound route as the signature check sees it."""
        sid = "SM" + self._randomness.token(16)
        fields = (
            ("MessageSid", sid),
            ("AccountSid", ACCOUNT_SID),
            ("From", phone),
            ("To", self.own_address),
            ("Body", body),
            ("NumMedia", "0"),
            ("NumSegments", "1"),
        )
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            SIGNATURE_HEADER: sign(url, fields, token=self.auth_token),
        }
        return TypedReply(url, headers, urlencode(fields).encode("ascii"), sid)
