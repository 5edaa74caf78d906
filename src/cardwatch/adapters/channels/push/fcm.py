"""Notifications through Firebase Cloud Messaging, its HTTP v1 API only; Google's own library gets the access tokens.

Sources: the reference of `projects.messages` and its error codes (firebase.google.com/docs/reference/fcm/rest/v1), read
November 2026. Needs the extra `push`.
"""

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from cardwatch.adapters.channels.push.channel import NOT_INSTALLED, Notification
from cardwatch.domain.account import PushTarget
from cardwatch.ports import Clock, NotSent, Sent, UnknownSent

if TYPE_CHECKING:
    from google.oauth2.service_account import Credentials

    from cardwatch.adapters.channels.http_post import Answer

BASE_URL = "https://fcm.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
TIMEOUT_S = 10.0
"""For sending, and once more for a new access token."""

TTL_S_MAX = 2_419_200
"""Four weeks, FCM's limit."""

ANSWER_BYTES_MAX = 16_384
_TOKEN_BACKOFF_S = 5.0
"""What google-auth may sleep between its three tries."""
_ACCOUNT_FIELDS = ("client_email", "private_key", "token_uri")


class _Refusal(msgspec.Struct, frozen=True):
    """What an error code means for a notification."""

    word: str
    retryable: bool = False
    gone: bool = False
    alarm: bool = False


_REFUSALS: dict[str, _Refusal] = {
    "UNREGISTERED": _Refusal("device not registered any more", gone=True),
    "NOT_FOUND": _Refusal("device not registered any more", gone=True),
    "INVALID_ARGUMENT": _Refusal("message not valid"),
    "SENDER_ID_MISMATCH": _Refusal("device belongs to another project: check the service account", alarm=True),
    "THIRD_PARTY_AUTH_ERROR": _Refusal("Apple or the browser refuses: check the project's APNs key", alarm=True),
    "UNAUTHENTICATED": _Refusal("not authenticated: check the service account", alarm=True),
    "PERMISSION_DENIED": _Refusal("not permitted: check the service account's role and the API", alarm=True),
    "QUOTA_EXCEEDED": _Refusal("too many notifications", retryable=True),
    "RESOURCE_EXHAUSTED": _Refusal("too many notifications", retryable=True),
    "UNAVAILABLE": _Refusal("overloaded", retryable=True),
}
_BY_STATUS: dict[int, _Refusal] = {
    401: _REFUSALS["UNAUTHENTICATED"],
    403: _REFUSALS["PERMISSION_DENIED"],
    404: _Refusal("no such address: check the project", alarm=True),
    410: _REFUSALS["UNREGISTERED"],
    429: _REFUSALS["QUOTA_EXCEEDED"],
}
_INVALID_TOKEN = _Refusal("not a device's token", gone=True)


class FcmSender:
    """Sends for one Firebase project."""

    def __init__(
        self,
        *,
        service_account: Mapping[str, str],
        clock: Clock,
        project: str | None = None,
        base_url: str = BASE_URL,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Take the credentials, as `parse_service_account` returns them; nothing is imported or connected yet.

        `project` is the id of the Firebase project, the service account's own unless given. `base_url` replaces
        Google's, for proxies and tests.
        """
        self._service_account = service_account
        name = quote(project or service_account["project_id"], safe="")
        self.longest_s = 3 * timeout_s + _TOKEN_BACKOFF_S  # another thread's access token, one's own, sending
        self._url = f"{base_url.rstrip('/')}/v1/projects/{name}/messages:send"
        self._clock = clock
        self._timeout_s = timeout_s
        self._credentials: Credentials | None = None
        self._lock = threading.Lock()

    def send(self, target: PushTarget, notification: Notification) -> Sent | NotSent | UnknownSent:
        """Hand a notification to FCM for the device with the target's token."""
        from cardwatch.adapters.channels import http_post  # noqa: PLC0415 - heavy; only what sends pays for it

        token = self._access_token()
        if isinstance(token, NotSent):
            return token
        answer = http_post.post(
            self._url,
            body=msgspec.json.encode({"message": _message(target.fcm_token or "", notification)}),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout_s=self._timeout_s,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )
        if not isinstance(answer, http_post.Answer):
            return answer
        if answer.status == 401:
            self._forget(token)
        return self._judged(answer)

    def prepare(self) -> None:
        """Load the library and the private key; raises ValueError with a sentence if either cannot be used."""
        try:
            self._load()
        except ImportError:
            raise ValueError(NOT_INSTALLED) from None

    def _judged(self, answer: "Answer") -> Sent | NotSent | UnknownSent:
        """Return what an answer means."""
        from cardwatch.adapters.channels import http_post  # noqa: PLC0415 - heavy; only what sends pays for it

        read = _object(answer.body)
        if 200 <= answer.status < 300:
            name = read.get("name")
            return Sent(name) if isinstance(name, str) and name else UnknownSent("answer without a name")
        code, meaning = _meaning(answer.status, read, wait_asked=answer.retry_after is not None)
        if meaning is None:
            return UnknownSent(f"HTTP {answer.status}")
        wait_ms = http_post.retry_after_ms(answer.retry_after, now_ms=self._clock.now_ms())
        return NotSent(
            f"{answer.status} {code} {meaning.word}" if code else f"{answer.status} {meaning.word}",
            retryable=meaning.retryable,
            gone=meaning.gone,
            alarm=meaning.alarm,
            retry_after_ms=wait_ms if meaning.retryable else None,
        )

    def _access_token(self) -> str | NotSent:
        """Return an access token that still lives a while, a new one if need be; one thread at a time asks for it."""
        if not self._lock.acquire(timeout=self._timeout_s):
            return NotSent("no access token: another request for it hangs", retryable=True)
        try:
            credentials = self._load()
            return str(credentials.token) if credentials.valid else self._new_token(credentials)
        except ValueError:
            return NotSent("service account not usable: check its private key", retryable=False, alarm=True)
        finally:
            self._lock.release()

    def _new_token(self, credentials: "Credentials") -> str | NotSent:
        from google.auth import exceptions  # noqa: PLC0415 - heavy; only what sends pays for it

        from cardwatch.adapters.channels import http_post  # noqa: PLC0415

        try:
            with http_post.hush():
                credentials.refresh(_requests_until(time.monotonic() + self._timeout_s))  # type: ignore[no-untyped-call]
        except exceptions.TransportError:
            return NotSent("no access token: no connection", retryable=True)
        except exceptions.RefreshError as error:
            if error.retryable:
                return NotSent("no access token: Google is overloaded", retryable=True)
            return NotSent("service account refused by Google: check it", retryable=False, alarm=True)
        except (ValueError, TypeError, KeyError, AttributeError):
            return NotSent("no access token: answer not readable", retryable=True)
        return str(credentials.token)

    def _forget(self, token: str) -> None:
        """Let the next notification ask for a new access token."""
        with self._lock:
            if self._credentials is not None and self._credentials.token == token:
                self._credentials.token = None

    def _load(self) -> "Credentials":
        if self._credentials is None:
            from google.oauth2.service_account import Credentials  # noqa: PLC0415 - heavy; only what sends pays for it

            try:
                self._credentials = Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                    self._service_account, scopes=[SCOPE]
                )
            except (ValueError, TypeError, KeyError):
                raise ValueError("the private key of the service account is not usable") from None
        return self._credentials


def parse_service_account(text: str) -> dict[str, str]:
    """Return the service account of a JSON file as Google makes it.

    Raises ValueError with a sentence that repeats nothing of it.
    """
    try:
        read = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise ValueError("the service account is not a JSON object") from None
    if read.get("type") != "service_account":
        raise ValueError("the service account has another type than service_account")
    for field in ("project_id", *_ACCOUNT_FIELDS):
        if not isinstance(read.get(field), str) or not read[field]:
            raise ValueError(f"the service account lacks {field}")
    return {name: value for name, value in read.items() if isinstance(value, str)}


def _requests_until(deadline_s: float) -> Any:
    """Return what google-auth makes its requests with: all of them, tries and retries, end by a deadline."""
    from google.auth import exceptions  # noqa: PLC0415 - heavy; only what sends pays for it
    from google.auth.transport.requests import Request  # noqa: PLC0415

    from cardwatch.adapters.channels.http_post import Exchange  # noqa: PLC0415

    def request(url: str, method: str = "GET", **keywords: Any) -> Any:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise exceptions.TransportError("no time left")  # type: ignore[no-untyped-call]
        exchange = Exchange(timeout_s=left_s, answer_bytes_max=ANSWER_BYTES_MAX)
        return Request(exchange)(url, method, **keywords)

    return request


def _message(token: str, notification: Notification) -> dict[str, Any]:
    """Return a notification as the API wants it, with each platform's own words for its life, urgency and tag."""
    life_s = min(notification.life_s, TTL_S_MAX)
    web: dict[str, Any] = {
        "headers": {"TTL": str(life_s), "Urgency": "high", "Topic": notification.tag},
        "notification": {"tag": notification.tag},
    }
    if notification.link.startswith("https://"):  # FCM refuses others
        web["fcm_options"] = {"link": notification.link}
    return {
        "token": token,
        "notification": {"title": notification.title, "body": notification.body},
        "data": {"link": notification.link, "tag": notification.tag},
        "android": {
            "priority": "HIGH",
            "ttl": f"{life_s}s",
            "collapse_key": notification.tag,
            "notification": {"tag": notification.tag},
        },
        "apns": {
            "headers": {
                "apns-push-type": "alert",
                "apns-priority": "10",
                "apns-expiration": str(notification.expires_at_s),
                "apns-collapse-id": notification.tag,
            }
        },
        "webpush": web,
    }


def _meaning(status: int, read: Mapping[str, Any], *, wait_asked: bool) -> tuple[str | None, _Refusal | None]:
    """Return code and meaning of an error, None for one of which nobody knows whether the message was taken."""
    error = read.get("error")
    error = error if isinstance(error, dict) else {}
    details = [detail for detail in _list(error.get("details")) if isinstance(detail, dict)]
    codes = [*(detail.get("errorCode") for detail in details), error.get("status")]  # the first says it best
    code = next((code for code in codes if isinstance(code, str) and code in _REFUSALS), None)
    if code == "INVALID_ARGUMENT" and _names_token(error, details):
        return code, _INVALID_TOKEN
    if status == 503 and (code == "UNAVAILABLE" or wait_asked):
        return "UNAVAILABLE", _REFUSALS["UNAVAILABLE"]
    if not 300 <= status < 500:
        return None, None
    if code is not None:
        return code, _REFUSALS[code]
    return None, _BY_STATUS.get(status, _Refusal("refused"))


def _names_token(error: Mapping[str, Any], details: list[dict[str, Any]]) -> bool:
    """Say whether an error is about the device's token and not about the message."""
    violations = [violation for detail in details for violation in _list(detail.get("fieldViolations"))]
    fields = [violation.get("field") for violation in violations if isinstance(violation, dict)]
    if fields:
        return all(field in ("message.token", "token") for field in fields)
    return "registration token" in str(error.get("message", ""))


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
