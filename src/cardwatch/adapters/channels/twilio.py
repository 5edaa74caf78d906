"""Texts through Twilio's Messages API, by the official SDK.

The SDK is imported by `prepare` or with the first text (0.8 s) and given a timeout, since it has none of its own. What
is not clearly taken or clearly refused is unknown: `find` looks it up before anything is sent again. Nothing is logged
here: the SDK's request log would name telephone numbers.
"""

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from cardwatch.adapters.channels.twilio_errors import error_text, refusal
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageState
from cardwatch.ports import Clock, NotSent, Sent, UnknownSent

if TYPE_CHECKING:
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

TIMEOUT_S = 10.0
VALIDITY_S_MAX = 36_000
"""Twilio's own limit of ValidityPeriod (API description, 2010-04-01)."""

MESSAGING_SERVICE_PREFIX = "MG"
"""What the sid of a messaging service begins with."""

_LISTED_MAX = 50
"""Texts to one phone that are looked through, newest first."""
_CLOCK_SKEW_MS = 120_000


class TwilioChannel:
    """The channel "sms" on one Twilio account."""

    name = "sms"

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        own_number: str,
        clock: Clock,
        status_callback_url: str | None = None,
        api_url: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Take what is needed; nothing is imported or connected yet.

        `own_number` is a number or the sid of a messaging service ("MG..."); `api_url` replaces Twilio's own, for
        proxies and tests; `status_callback_url` gets our message id in its query.
        """
        self.own_number = own_number
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._clock = clock
        self._status_callback_url = status_callback_url
        self._api_url = api_url
        self._timeout_s = timeout_s
        self._client: Client | None = None

    def prepare(self) -> None:
        """Import the SDK and make its client, so that the first text of a server slows nobody's payment."""
        _ = self._connect().messages

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Hand a text to Twilio, to be delivered within its remaining life."""
        if self._claim_may_run_out(message):
            return NotSent("claim ran out before it was sent", retryable=True)
        client = self._connect()
        from requests.exceptions import RequestException  # noqa: PLC0415 - heavy; only what sends pays for it
        from twilio.base.exceptions import TwilioException  # noqa: PLC0415

        try:
            created = client.messages.create(**self._parameters(message))
        except TwilioException as error:
            return _refused(error)
        except RequestException as error:
            return _unreached(error)
        except (ValueError, KeyError, TypeError) as error:
            return UnknownSent(f"answer not readable ({type(error).__name__})")
        return Sent(created.sid) if created.sid else UnknownSent("answer without a sid")

    def find(self, message: Message) -> Sent | None:
        """Look a text up by receiver and body among those created since we made it.

        Not by the date of sending: a text that Twilio has but has not sent yet carries none.
        """
        client = self._connect()
        from requests.exceptions import RequestException  # noqa: PLC0415 - heavy; only what sends pays for it
        from twilio.base.exceptions import TwilioException  # noqa: PLC0415

        try:
            listed = client.messages.list(to=message.phone, limit=_LISTED_MAX, page_size=_LISTED_MAX)
        except (TwilioException, RequestException, ValueError, KeyError, TypeError) as error:
            raise OperatingError(f"the provider could not be asked ({type(error).__name__})") from None
        matching = [found for found in listed if _is_same(found, message)]
        return Sent(matching[-1].sid) if matching else None

    def _claim_may_run_out(self, message: Message) -> bool:
        """Say whether a claimed text that waited for its turn might still be under way when others look it up."""
        longest_ms = int(2 * self._timeout_s * 1000)  # connecting and reading have the timeout each
        return message.state is MessageState.SENDING and self._clock.now_ms() + longest_ms > message.due_at_ms

    def _parameters(self, message: Message) -> dict[str, Any]:
        sender = message.own_number
        named = "messaging_service_sid" if sender.startswith(MESSAGING_SERVICE_PREFIX) else "from_"
        parameters: dict[str, Any] = {"to": message.phone, "body": message.body, named: sender}
        if message.expires_at_ms is not None:
            left_s = (message.expires_at_ms - self._clock.now_ms()) // 1000
            parameters["validity_period"] = max(1, min(left_s, VALIDITY_S_MAX))
        if self._status_callback_url is not None:
            parameters["status_callback"] = f"{self._status_callback_url}?message={quote(message.message_id, safe='')}"
        return parameters

    def _connect(self) -> "Client":
        if self._client is None:
            from twilio.rest import Client  # noqa: PLC0415 - heavy; only what sends pays for it

            connection = http_client(timeout_s=self._timeout_s, api_url=self._api_url)
            self._client = Client(self._account_sid, self._auth_token, http_client=connection)
        return self._client


def http_client(*, timeout_s: float, api_url: str | None) -> "TwilioHttpClient":
    """Return the SDK's HTTP client with a timeout, another host if asked for, and no log of what it sends."""
    from twilio.http.http_client import TwilioHttpClient  # noqa: PLC0415 - heavy; only what sends pays for it

    silent = logging.getLogger("cardwatch.twilio.silent")
    silent.disabled = True
    # urllib3 logs paths with their query, and a list of texts is asked for by telephone number.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

    class RewritingClient(TwilioHttpClient):  # type: ignore[misc,unused-ignore]
        """Sends each request to the configured host."""

        def request(self, method: str, url: str, *args: Any, **keywords: Any) -> Any:
            """Make a request at the configured host."""
            return super().request(method, _rewritten(url, api_url), *args, **keywords)

    return RewritingClient(timeout=timeout_s, logger=silent)


def _rewritten(url: str, api_url: str | None) -> str:
    if api_url is None:
        return url
    wanted, parts = urlsplit(api_url), urlsplit(url)
    return urlunsplit(
        parts._replace(scheme=wanted.scheme, netloc=wanted.netloc, path=wanted.path.rstrip("/") + parts.path)
    )


def _refused(error: Exception) -> NotSent | UnknownSent:
    """Judge an answer that is an error: below 500 Twilio did not take the text, above nobody knows."""
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    if not isinstance(status, int) or status >= 500 or status < 400:
        return UnknownSent(f"HTTP {status}" if status else type(error).__name__)
    number = code if isinstance(code, int) and code >= 10_000 else None
    meaning = refusal(number, http_status=status)
    return NotSent(error_text(number or status, meaning), retryable=meaning.retryable, opted_out=meaning.opted_out)


def _unreached(error: Exception) -> NotSent | UnknownSent:
    """Judge a failure to get an answer: only where no connection came about is it certain that nothing was taken."""
    from requests.exceptions import ConnectTimeout  # noqa: PLC0415 - heavy; only what sends pays for it
    from urllib3.exceptions import MaxRetryError, NewConnectionError  # noqa: PLC0415

    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(error, ConnectTimeout) or isinstance(reason, NewConnectionError):
        return NotSent("no connection", retryable=True)
    return UnknownSent(type(error).__name__)


def _is_same(found: Any, message: Message) -> bool:
    """Say whether a listed text is ours; trial accounts put a sentence before the body."""
    if not str(found.direction or "").startswith("outbound") or not str(found.body or "").endswith(message.body):
        return False
    if found.date_created is None:
        return True
    created_at_ms = int(found.date_created.timestamp() * 1000)
    return bool(created_at_ms >= message.created_at_ms - _CLOCK_SKEW_MS)
