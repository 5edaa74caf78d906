"""What became of a payment, posted to the payment system and signed by Standard Webhooks (version 1.0.0 of its spec).

The receiver proves by the signature who sent it, refuses what is old by the timestamp, and takes each id once: so
whatever was not clearly taken is sent again, under the same id.
"""

import base64
import binascii
import hashlib
import hmac
from urllib.parse import quote

from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import Clock, NotSent, OnUnknown, Sent, UnknownSent

TIMEOUT_S = 15.0
"""For all of a request; the spec recommends 15 to 30 seconds."""

SECRET_PREFIX = "whsec_"  # noqa: S105 - what all secrets begin with
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64
"""The spec's limits of a secret for symmetric signatures."""

_MOVED = range(300, 400)
_TAKEN = range(200, 300)


class CallbackChannel:
    """The channel "callback": each message's body is the JSON document.

    All of them go to the URL that is configured now, so that a mended one counts for what waits already; the address
    of a message only says where it was to go when it was written.
    """

    name = "callback"
    own_address = ""
    on_unknown = OnUnknown.RESEND

    def __init__(self, *, url: str, secrets: tuple[bytes, ...], clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        """Take the receiver's URL and the secrets, each of which signs; more than one while a secret is rotated.

        They come from `parse_callback_secret`. Raises ValueError if there is none.
        """
        if not secrets:
            raise ValueError("callbacks need a secret to be signed with")
        self._url = url
        self._secrets = secrets
        self._clock = clock
        self._timeout_s = timeout_s

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Post a message's body, byte for byte, to the URL."""
        from cardwatch.adapters.channels import http_post  # noqa: PLC0415 - heavy; only what sends pays for it

        longest_s = http_post.CONNECT_TIMEOUT_S + self._timeout_s
        if http_post.claim_may_run_out(message, now_ms=self._clock.now_ms(), longest_s=longest_s):
            return NotSent("claim ran out before it was sent", retryable=True, tried=False)
        body = message.body.encode()
        headers = {"Content-Type": "application/json", **self._signed(message.message_id, body)}
        answer = http_post.post(self._url, body=body, headers=headers, timeout_s=self._timeout_s)
        if not isinstance(answer, http_post.Answer):
            return answer
        if answer.status in _TAKEN:
            return Sent(headers["webhook-id"])
        wait_ms = http_post.retry_after_ms(answer.retry_after, now_ms=self._clock.now_ms())
        return _refused(answer.status, wait_ms)

    def find(self, message: Message) -> Sent | None:  # noqa: ARG002 - the port's form
        """Raise OperatingError: a receiver cannot be asked what it has; it takes each id once."""
        raise OperatingError("callbacks are sent again, not looked up")

    def _signed(self, message_id: str, body: bytes) -> dict[str, str]:
        """Return the headers that prove a body at the present time."""
        identity, timestamp = webhook_id(message_id), str(self._clock.now_ms() // 1000)
        content = b".".join((identity.encode(), timestamp.encode(), body))
        signatures = (hmac.digest(secret, content, hashlib.sha256) for secret in self._secrets)
        return {
            "webhook-id": identity,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in signatures),
        }


def parse_callback_secret(text: str) -> bytes:
    """Return the key of a secret as the spec writes it: "whsec_" and base64 of 24 to 64 bytes.

    Raises ValueError with a sentence that does not repeat it.
    """
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(f"a callback secret begins with {SECRET_PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"a callback secret is base64 after {SECRET_PREFIX}") from None
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise ValueError(
            f"a callback secret holds {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, this one {len(secret)}"
        )
    return secret


def webhook_id(message_id: str) -> str:
    """Return a message's id as a header can carry it: percent-encoded but for letters, digits, "-", "_", "~" and ":".

    A dot would blur where the id ends in what is signed: id, dot, timestamp, dot, body.
    """
    return quote(message_id, safe=":").replace(".", "%2E")


def _refused(status: int, retry_after_ms: int | None) -> NotSent:
    """Judge an answer that is no success."""
    if status == 410:
        return NotSent("410 gone: the receiver wants no more", retryable=False)
    if status in _MOVED:
        return NotSent(f"{status} redirected: callbacks go only to the address itself", retryable=False)
    return NotSent(f"{status} not taken", retryable=True, retry_after_ms=retry_after_ms)
