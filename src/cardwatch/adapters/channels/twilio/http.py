"""The HTTP under Twilio's SDK: a timeout, the configured host, no log, and what the SDK keeps to itself of an answer.

The SDK hands on neither the headers of a refusal (Retry-After) nor the provider's own time (Date); both are kept here
for the thread that made the request.
"""

import logging
import threading
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from cardwatch.domain.times import HOUR_MS

if TYPE_CHECKING:
    from twilio.http.http_client import TwilioHttpClient

RETRY_AFTER_MS_MAX = HOUR_MS
"""Whoever asks to be left alone for longer is asked again after an hour."""

_DIGITS_MAX = 9


class LastAnswer(threading.local):
    """Status and headers of the last answer that this thread got, None and empty where it got none."""

    status: int | None = None
    headers: Mapping[str, str] = {}

    def clear(self) -> None:
        """Forget the answer before the next request."""
        self.status, self.headers = None, {}

    def provider_now_ms(self) -> int | None:
        """Return the provider's time when it answered (ms, whole seconds), None if it named none."""
        return _date_ms(self.headers.get("Date", ""))

    def retry_after_ms(self, *, now_ms: int) -> int | None:
        """Return how long the provider wants to be left alone, at most an hour; None if it does not say.

        It says so in seconds or as a date, which is taken by the provider's own clock where that is known.
        """
        said = self.headers.get("Retry-After", "").strip()
        if said.isascii() and said.isdigit():
            return min(int(said[:_DIGITS_MAX]) * 1000, RETRY_AFTER_MS_MAX)
        until_ms = _date_ms(said)
        if until_ms is None:
            return None
        left_ms = until_ms - (self.provider_now_ms() or now_ms)
        return max(0, min(left_ms, RETRY_AFTER_MS_MAX))


def http_client(*, timeout_s: float, api_url: str | None, last: LastAnswer | None = None) -> "TwilioHttpClient":
    """Return the SDK's HTTP client with a timeout for connecting and for each read, at another host if asked for.

    `last` gets what each thread was last answered.
    """
    from twilio.http.http_client import TwilioHttpClient  # noqa: PLC0415 - heavy; only what sends pays for it

    heard = last if last is not None else LastAnswer()
    silent = logging.getLogger("cardwatch.twilio.silent")
    silent.disabled = True
    # urllib3 logs paths with their query, and a list of texts is asked for by telephone number.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

    class RewritingClient(TwilioHttpClient):  # type: ignore[misc,unused-ignore]
        """Sends each request to the configured host."""

        def request(self, method: str, url: str, *args: Any, **keywords: Any) -> Any:
            """Make a request at the configured host."""
            heard.clear()
            answer = super().request(method, _rewritten(url, api_url), *args, **keywords)
            heard.status, heard.headers = answer.status_code, answer.headers or {}
            return answer

    return RewritingClient(timeout=timeout_s, logger=silent)


def _rewritten(url: str, api_url: str | None) -> str:
    if api_url is None:
        return url
    wanted, parts = urlsplit(api_url), urlsplit(url)
    return urlunsplit(
        parts._replace(scheme=wanted.scheme, netloc=wanted.netloc, path=wanted.path.rstrip("/") + parts.path)
    )


def _date_ms(text: str) -> int | None:
    try:
        read = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)
