"""Notifications through the browsers' own push services: encrypted for the browser (RFC 8291), signed by VAPID (8292).

`pywebpush` encrypts and `py-vapid` signs; the post itself is ours, because theirs waits for hours. What arrives is JSON
with `title`, `body`, `link` and `tag`, for the bank's service worker to show. Needs the extra `push`.
"""

import base64
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from cardwatch.adapters.channels.push.channel import NOT_INSTALLED, Notification
from cardwatch.domain.account import PushTarget
from cardwatch.ports import Clock, NotSent, Sent, UnknownSent

if TYPE_CHECKING:
    from py_vapid import Vapid02

TIMEOUT_S = 10.0

VAPID_LIFE_S = 12 * 3600
"""How long a signature holds; RFC 8292 allows a day."""

_REFUSALS: dict[int, NotSent] = {
    401: NotSent("401 VAPID signature not accepted: check the key and its subject", retryable=False, alarm=True),
    403: NotSent(
        "403 VAPID key not accepted: is it the one that browsers subscribed with?", retryable=False, alarm=True
    ),
    404: NotSent("404 subscription unknown", retryable=False, gone=True),
    410: NotSent("410 subscription ended", retryable=False, gone=True),
    413: NotSent("413 notification too large", retryable=False),
    429: NotSent("429 too many notifications", retryable=True),
}
_UNUSABLE = NotSent(
    "subscription not usable: its keys or its endpoint are none", retryable=False, gone=True, tried=False
)


class WebPushSender:
    """Sends with one VAPID key."""

    def __init__(self, *, vapid_private_key: str, subject: str, clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        """Take the private key and whom a push service may write to: "mailto:" and an address, or an https URL.

        `check_vapid` says beforehand whether they will do; nothing is imported or connected yet.
        """
        self.longest_s = timeout_s
        self._vapid_private_key = vapid_private_key
        self._subject = subject
        self._clock = clock
        self._timeout_s = timeout_s
        self._vapid: Vapid02 | None = None

    def send(self, target: PushTarget, notification: Notification) -> Sent | NotSent | UnknownSent:
        """Hand a notification to the push service of the target's subscription."""
        from cardwatch.adapters.channels import http_post  # noqa: PLC0415 - heavy; only what sends pays for it

        sealed = self._sealed(target, notification)
        if isinstance(sealed, NotSent):
            return sealed
        headers, body = sealed
        answer = http_post.post(target.endpoint or "", body=body, headers=headers, timeout_s=self._timeout_s)
        if not isinstance(answer, http_post.Answer):
            return answer
        if 200 <= answer.status < 300:
            return Sent(notification.tag)  # the Location that is answered would let its reader withdraw the message
        if answer.status < 300 or answer.status >= 500:
            return UnknownSent(f"HTTP {answer.status}")
        refused = _REFUSALS.get(answer.status, NotSent(f"{answer.status} refused", retryable=False))
        if not refused.retryable:
            return refused
        wait_ms = http_post.retry_after_ms(answer.retry_after, now_ms=self._clock.now_ms())
        return msgspec.structs.replace(refused, retry_after_ms=wait_ms)

    def prepare(self) -> None:
        """Load the libraries, check key and subject; raises ValueError with a sentence if one cannot be used."""
        try:
            import pywebpush  # noqa: F401, PLC0415 - heavy; only what sends pays for it

            check_vapid(private_key=self._vapid_private_key, subject=self._subject)
            self._load()
        except ImportError:
            raise ValueError(NOT_INSTALLED) from None

    def _sealed(self, target: PushTarget, notification: Notification) -> tuple[dict[str, str], bytes] | NotSent:
        """Return the headers and the encrypted body, or why there can be none."""
        from http_ece import ECEException  # noqa: PLC0415 - heavy; only what sends pays for it
        from py_vapid import VapidException  # noqa: PLC0415
        from pywebpush import WebPusher, WebPushException  # noqa: PLC0415

        shown = {"title": notification.title, "body": notification.body}
        payload = msgspec.json.encode({**shown, "link": notification.link, "tag": notification.tag})
        keys = {"p256dh": target.p256dh or "", "auth": target.auth or ""}
        vapid = self._load()
        try:
            parts = urlsplit(target.endpoint or "")
            claims = {
                "aud": f"{parts.scheme}://{parts.netloc}",
                "exp": self._clock.now_ms() // 1000 + VAPID_LIFE_S,
                "sub": self._subject,
            }
            signed: dict[str, str] = vapid.sign(claims)
            body: bytes = WebPusher({"endpoint": target.endpoint, "keys": keys}).encode(payload)["body"]
        except (ECEException, VapidException, WebPushException, ValueError, TypeError, IndexError):
            return _UNUSABLE
        return {
            **signed,
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(notification.life_s),
            "Urgency": "high",
            "Topic": notification.tag,
        }, body

    def _load(self) -> "Vapid02":
        if self._vapid is None:
            self._vapid = _vapid(self._vapid_private_key)
        return self._vapid


def check_vapid(*, private_key: str, subject: str) -> None:
    """Say whether a key and a subject will do; raises ValueError with a sentence that repeats neither."""
    from py_vapid import VapidException  # noqa: PLC0415 - heavy; only where push is configured

    try:
        _vapid(private_key).sign({"aud": "https://push.example", "exp": 1, "sub": subject})
    except VapidException:
        raise ValueError("the VAPID subject is neither mailto: and an e-mail address nor an https URL") from None


def vapid_public_key(private_key: str) -> str:
    """Return the key that browsers subscribe with (`applicationServerKey`), in unpadded URL-safe base64.

    Raises ValueError if the private key is none.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - heavy; only where push is configured

    point = _vapid(private_key).public_key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def _vapid(private_key: str) -> "Vapid02":
    """Return the signer of a key: PEM, or 32 bytes in URL-safe base64 as `web-push generate-vapid-keys` prints them."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - heavy; only what sends pays for it
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    from py_vapid import Vapid02  # noqa: PLC0415

    text = private_key.strip()
    try:
        if text.startswith("-----BEGIN"):
            key = load_pem_private_key(text.encode(), password=None)
        else:
            key = Vapid02.from_string(text).private_key
        usable = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        usable = False
    if not usable:
        raise ValueError("the VAPID private key is neither PEM nor base64 of a key on the curve P-256")
    return Vapid02(private_key=key)
