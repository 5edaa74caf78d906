"""A browser and its push service of our own: it verifies the sender's signature, and decrypts what came for it.

Written from RFC 8030 (the post), 8291 and 8188 (the encryption) and 8292 (the signature), on bare cryptography, so that
it shares no code with what the adapter sends by.
"""

import base64
import json
import re
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cardwatch.domain.account import PushTarget
from tests.fakes.callback_receiver import Post, Receiver, Reply, serving

PATH = "/wpush/v2/gAAAAABmSecretSubscriptionPath"


def encoded(value: bytes) -> str:
    """Return unpadded URL-safe base64."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return what unpadded URL-safe base64 stands for."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key as an uncompressed point."""
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


class FakePushService(Receiver):
    """A subscription, its keys, and what was pushed to it."""

    def __init__(self) -> None:
        super().__init__()
        self.server_key = ""
        """The public key that the browser subscribed with."""
        self.claims: list[dict[str, Any]] = []
        self.shown: list[Any] = []
        """What the service worker gets, decrypted."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = b"sixteen bytes of"

    @property
    def target(self) -> PushTarget:
        """The subscription as the browser hands it out."""
        keys = {"p256dh": encoded(point(self._key.public_key())), "auth": encoded(self._auth)}
        return PushTarget(endpoint=f"{self.url}{PATH}", **keys)

    def reply_to(self, post: Post) -> Reply:
        """Check a push as the services do; queued replies take the place of what this returns."""
        if post.path != PATH:
            return Reply(status=404)
        scheme, _, parameters = post.headers.get("authorization", "").partition(" ")
        given = dict(pair.split("=", 1) for pair in parameters.split(","))
        if scheme != "vapid" or given.get("k") != self.server_key:
            return Reply(status=403, body=b"the key is not the subscription's")
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(given["k"]))
        try:
            claims = jwt.decode(given["t"], public, algorithms=["ES256"], audience=self.url)
        except jwt.InvalidTokenError:
            return Reply(status=401)
        if not (claims["exp"] <= time.time() + 86_400 and re.match(r"mailto:|https:", claims["sub"])):
            return Reply(status=401)
        if not self._well_formed(post):
            return Reply(status=400)
        self.claims.append(claims)
        self.shown.append(json.loads(self._decrypted(post.body)))
        return Reply(status=201, headers={"Location": f"{self.url}/m/secret-message"})

    def _well_formed(self, post: Post) -> bool:
        return (
            post.headers.get("ttl", "").isdigit()
            and re.fullmatch(r"[A-Za-z0-9_-]{1,32}", post.headers.get("topic", "a")) is not None
            and post.headers.get("urgency") in ("very-low", "low", "normal", "high")
            and post.headers.get("content-encoding") == "aes128gcm"
            and len(post.body) <= 4096
        )

    def _decrypted(self, body: bytes) -> bytes:
        """Return the plain text of a push (RFC 8291, 3.4; RFC 8188, 2)."""
        salt, _, length = struct.unpack("!16sIB", body[:21])
        sender_point, sealed = body[21 : 21 + length], body[21 + length :]
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender_point)
        info = b"WebPush: info\x00" + point(self._key.public_key()) + sender_point
        secret = _derived(self._auth, self._key.exchange(ec.ECDH(), sender), info, 32)
        key = _derived(salt, secret, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = _derived(salt, secret, b"Content-Encoding: nonce\x00", 12)
        padded = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\x00")
        assert padded.endswith(b"\x02"), "one record, and the last"
        return padded[:-1]


def _derived(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


@contextmanager
def running_push_service() -> Iterator[FakePushService]:
    """Serve a fake."""
    fake = FakePushService()
    with serving(fake):
        yield fake
