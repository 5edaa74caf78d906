"""A Firebase Cloud Messaging of our own: Google's token endpoint, and `messages:send` of the HTTP v1 API.

Written from Google's documents, not from the adapter: it checks the signed request for an access token with the
account's public key, and of a message what Google checks.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.callback_receiver import Post, Receiver, Reply, serving

PROJECT = "bank-of-tests"
DEVICE = "cXJ0:APA91b-device-token_0123456789abcdef"
GONE_DEVICE = "cXJ0:APA91b-gone-device_0123456789abcdef"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""Whom requests for access tokens are signed for, wherever they are sent."""

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


@cache
def private_key() -> rsa.RSAPrivateKey:
    """Return the service account's key, the same for all tests."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account(url: str) -> dict[str, str]:
    """Return a service account as Google makes it, whose token endpoint is the fake's."""
    pem = private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "0123456789abcdef",
        "private_key": pem.decode(),
        "client_email": f"sender@{PROJECT}.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{url}/token",
    }


def error_reply(status: int, code: str, *, message: str = "", details: Any = (), headers: Any = None) -> Reply:
    """Return an error as Google prints it."""
    error = {"code": status, "message": message or f"of {DEVICE}", "status": code, "details": list(details)}
    return json_reply({"error": error}, status=status, headers=headers)


def fcm_error(status: int, code: str, *, grpc: str = "", message: str = "", headers: Any = None) -> Reply:
    """Return an error of FCM's own."""
    details = [{"@type": FCM_ERROR, "errorCode": code}]
    return error_reply(status, grpc or code, message=message, details=details, headers=headers)


def json_reply(payload: Any, *, status: int = 200, headers: Any = None) -> Reply:
    """Return an answer in JSON."""
    typed = {"Content-Type": "application/json", **(headers or {})}
    return Reply(status=status, headers=typed, body=json.dumps(payload).encode())


class FakeFcm(Receiver):
    """What was asked for and sent."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []
        """Access tokens given out, oldest first."""
        self.messages: list[dict[str, Any]] = []
        self.token_life_s = 3600

    def reply_to(self, post: Post) -> Reply:
        """Answer as Google does; queued replies take the place of what this returns."""
        return self._token(post) if post.path == "/token" else self._send(post)

    def _token(self, post: Post) -> Reply:
        fields = parse_qs(post.body.decode())
        try:
            claims = jwt.decode(
                fields["assertion"][0], private_key().public_key(), algorithms=["RS256"], audience=AUDIENCE
            )
        except jwt.InvalidTokenError:
            return json_reply({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, status=400)
        if claims["scope"] != SCOPE or claims["exp"] - time.time() > 3601:
            return json_reply({"error": "invalid_scope"}, status=400)
        if self.replies:
            return Reply()
        self.tokens.append(f"ya29.token-{len(self.tokens)}")
        granted = {"access_token": self.tokens[-1], "expires_in": self.token_life_s, "token_type": "Bearer"}
        return json_reply(granted)

    def _send(self, post: Post) -> Reply:
        if post.path != f"/v1/projects/{PROJECT}/messages:send":
            return Reply(status=404, body=b"<html>not found</html>")
        if not self.tokens or post.headers.get("authorization") != f"Bearer {self.tokens[-1]}":
            return error_reply(401, "UNAUTHENTICATED")
        message = json.loads(post.body)["message"]
        if message["token"] == GONE_DEVICE:
            return fcm_error(404, "UNREGISTERED", grpc="NOT_FOUND", message="Requested entity was not found.")
        problem = _problem(message)
        if problem:
            violation = {"@type": BAD_REQUEST, "fieldViolations": [{"field": problem, "description": "bad"}]}
            return error_reply(400, "INVALID_ARGUMENT", details=[violation])
        if not self.replies:
            self.messages.append(message)
        return json_reply({"name": f"projects/{PROJECT}/messages/0:{len(self.messages)}"})


def _problem(message: dict[str, Any]) -> str:
    """Return the field that Google would refuse."""
    web = message.get("webpush", {})
    checks = (
        (re.fullmatch(r"[A-Za-z0-9_:-]{16,}", message.get("token", "")), "message.token"),
        (all(isinstance(value, str) for value in message.get("data", {}).values()), "message.data[0].value"),
        (re.fullmatch(r"\d{1,7}s", message["android"]["ttl"]), "message.android.ttl"),
        (message["android"]["priority"] in ("HIGH", "NORMAL"), "message.android.priority"),
        (web.get("fcm_options", {}).get("link", "https://").startswith("https://"), "message.webpush.fcm_options.link"),
        (all(isinstance(value, str) for value in message["apns"]["headers"].values()), "message.apns.headers"),
        (set(message) <= {"token", "notification", "data", "android", "apns", "webpush"}, "message"),
    )
    return next((name for passed, name in checks if not passed), "")


@contextmanager
def running_fcm() -> Iterator[FakeFcm]:
    """Serve a fake."""
    fake = FakeFcm()
    with serving(fake):
        yield fake
