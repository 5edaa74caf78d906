"""Twilio's posts to an application: signed by our own code, and repeated as the address's fragment asks for.

Timeouts and repetitions follow "Webhooks (HTTP callbacks): Connection Overrides": `#rc=3&rp=all&ct=2000&rt=15000`;
without a fragment a post is repeated once, and only where no connection came about.
"""

import base64
import hashlib
import hmac
import http.client
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.fakes.twilio.numbers import AUTH_TOKEN

NO_CONNECTION = 0
"""In place of a status: nobody took the connection."""
NO_ANSWER = -1
"""In place of a status: connected, and not answered in time."""

SIGNATURE_HEADER = "X-Twilio-Signature"
IDEMPOTENCY_HEADER = "I-Twilio-Idempotency-Token"


@dataclass(frozen=True)
class Post:
    """One attempt at a post, as it was made and answered."""

    url: str
    fields: dict[str, str]
    idempotency_token: str
    attempt: int
    status: int
    answer: bytes = b""


@dataclass
class Webhooks:
    """Posts, and remembers every attempt."""

    token: str = AUTH_TOKEN
    """What posts are signed with: the account's primary token."""
    made: list[Post] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, url: str, fields: Mapping[str, str], *, idempotency_token: str) -> list[Post]:
        """Post a form to an address until it is answered well enough; returns the attempts, the last one last."""
        address, _, fragment = url.partition("#")
        overrides = dict(parse_qsl(fragment))
        policies = set(overrides.get("rp", "ct").split(","))
        attempts: list[Post] = []
        for attempt in range(int(overrides.get("rc", "1")) + 1):
            status, answer = send_form(
                address,
                fields,
                token=self.token,
                headers={IDEMPOTENCY_HEADER: idempotency_token},
                connect_s=int(overrides.get("ct", "5000")) / 1000,
                read_s=int(overrides.get("rt", "15000")) / 1000,
            )
            attempts.append(Post(address, dict(fields), idempotency_token, attempt, status, answer))
            if not _is_repeated(status, policies):
                break
        with self._lock:
            self.made += attempts
        return attempts


def _is_repeated(status: int, policies: set[str]) -> bool:
    failing = {
        "ct": status == NO_CONNECTION,
        "rt": status == NO_ANSWER,
        "4xx": 400 <= status < 500,
        "5xx": status >= 500,
    }
    return any(failed and policies & {policy, "all"} for policy, failed in failing.items())


def signature(url: str, fields: Mapping[str, str], *, token: str = AUTH_TOKEN) -> str:
    """Sign a form post by Twilio's published algorithm."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def post_signed(url: str, fields: Mapping[str, str], *, token: str = AUTH_TOKEN) -> int:
    """Post a signed form once; returns the answer's status."""
    return send_form(url, fields, token=token)[0]


def send_form(
    url: str,
    fields: Mapping[str, str],
    *,
    token: str,
    headers: Mapping[str, str] | None = None,
    connect_s: float = 5.0,
    read_s: float = 15.0,
) -> tuple[int, bytes]:
    """Post a signed form once; returns status and body, NO_CONNECTION or NO_ANSWER in place of a status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=connect_s)
    sent = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "TwilioProxy/1.1", **(headers or {})}
    sent[SIGNATURE_HEADER] = signature(url, fields, token=token)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        try:
            connection.connect()
        except OSError:
            return NO_CONNECTION, b""
        connection.sock.settimeout(read_s)
        connection.request("POST", target, urlencode(fields), sent)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return NO_ANSWER, b""
    finally:
        connection.close()
