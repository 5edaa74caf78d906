"""Texts through Twilio's Messages API, by the official SDK.

The SDK is imported by `prepare` or with the first text (0.8 s) and given a timeout, since it has none of its own. What
is not clearly taken or clearly refused is unknown: `find` looks it up before anything is sent again. Nothing is logged
here: the SDK's request log would name telephone numbers.
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cardwatch.adapters.channels.twilio.errors import error_text, refusal
from cardwatch.adapters.channels.twilio.http import LastAnswer, http_client
from cardwatch.adapters.channels.twilio.lookup import MESSAGING_SERVICE_PREFIX, PAGE, PAGES_MAX, sid_of, wanted
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message, MessageState
from cardwatch.ports import Clock, NotSent, OnUnknown, Sent, UnknownSent

if TYPE_CHECKING:
    from twilio.rest import Client
    from twilio.rest.api.v2010.account.message import MessagePage

TIMEOUT_S = 10.0
"""For connecting, and again for each read."""
VALIDITY_S_MAX = 36_000
"""Twilio's own limit of ValidityPeriod (API description, 2010-04-01)."""

NO_CONNECTION = "no connection"

_CODE_MIN = 10_000
"""Below are HTTP statuses, which the SDK puts where a code is missing."""
_REQUEST_TIMEOUT = 408
"""The one refusal that does not say that nothing was taken."""

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What the SDK raises on answers that are no JSON, or another JSON than it expects."""


class TwilioChannel:
    """The channel "sms" on one Twilio account; may be used by several threads at once."""

    name = "sms"
    on_unknown = OnUnknown.LOOK_UP

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        own_number: str,
        clock: Clock,
        messaging_service_sid: str | None = None,
        status_callback_url: str | None = None,
        api_url: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Take what is needed; nothing is imported or connected yet.

        `own_number` is a number, or the sid of a messaging service ("MG...") that chooses one; a
        `messaging_service_sid` beside a number sends through the service (its opt-outs, its registration) from exactly
        that number, so that replies come back to it. `api_url` replaces Twilio's own, for proxies and tests;
        `status_callback_url` gets our message id in its query.
        """
        self.own_address = own_number
        self._service_sid = messaging_service_sid
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._clock = clock
        self._status_callback_url = status_callback_url
        self._api_url = api_url
        self._timeout_s = timeout_s
        self._last = LastAnswer()
        self._connecting = threading.Lock()
        self._client: Client | None = None

    def prepare(self) -> None:
        """Import the SDK and make its client, so that the first text of a server slows nobody's payment."""
        self._connect()

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Hand a text to Twilio, to be delivered within its remaining life."""
        if self._claim_may_run_out(message):
            return NotSent("claim ran out before it was sent", retryable=True, tried=False)
        client = self._connect()
        from requests.exceptions import RequestException  # noqa: PLC0415 - heavy; only what sends pays for it
        from twilio.base.exceptions import TwilioException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        self._last.clear()
        try:
            created = client.messages.create(**self._parameters(message))
        except TwilioException as error:
            return self._refused(error)
        except (RequestException, HTTPError) as error:
            return _unreached(error)
        except _UNREADABLE as error:
            return UnknownSent(f"answer not readable ({type(error).__name__})")
        return (
            Sent(created.sid) if created.sid and isinstance(created.sid, str) else UnknownSent("answer without a sid")
        )

    def find(self, message: Message) -> Sent | None:
        """Look a text up by receiver, sender and body among those created since we made it.

        Not by the date of sending: a text that Twilio has but has not sent yet carries none. `twilio_lookup` says what
        a look-up cannot tell.
        """
        client = self._connect()
        from requests.exceptions import RequestException  # noqa: PLC0415 - heavy; only what sends pays for it
        from twilio.base.exceptions import TwilioException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        self._last.clear()
        try:
            first = client.messages.page(to=message.address, page_size=PAGE)
            text = wanted(
                message,
                service=self._service_sid,
                now_ms=self._clock.now_ms(),
                provider_now_ms=self._last.provider_now_ms(),
            )
            sid = sid_of(_pages(first), text)
        except (TwilioException, RequestException, HTTPError, *_UNREADABLE) as error:
            raise OperatingError(f"the provider could not be asked ({self._why(error)})") from None
        return Sent(sid) if sid else None

    def _claim_may_run_out(self, message: Message) -> bool:
        """Say whether a claimed text that waited for its turn might still be under way when others look it up."""
        longest_ms = int(2 * self._timeout_s * 1000)  # connecting and reading have the timeout each
        return message.state is MessageState.SENDING and self._clock.now_ms() + longest_ms > message.due_at_ms

    def _parameters(self, message: Message) -> dict[str, Any]:
        sender = message.own_address
        by_service = sender.startswith(MESSAGING_SERVICE_PREFIX)
        service_sid = sender if by_service else self._service_sid
        parameters: dict[str, Any] = {"to": message.address, "body": message.body}
        if not by_service:
            parameters["from_"] = sender
        if service_sid is not None:
            parameters["messaging_service_sid"] = service_sid
        if message.expires_at_ms is not None:
            left_s = (message.expires_at_ms - self._clock.now_ms()) // 1000
            parameters["validity_period"] = max(1, min(left_s, VALIDITY_S_MAX))
        if self._status_callback_url is not None:
            parameters["status_callback"] = f"{self._status_callback_url}?message={quote(message.message_id, safe='')}"
        return parameters

    def _connect(self) -> "Client":
        with self._connecting:
            if self._client is None:
                from twilio.rest import Client  # noqa: PLC0415 - heavy; only what sends pays for it

                connection = http_client(timeout_s=self._timeout_s, api_url=self._api_url, last=self._last)
                client = Client(self._account_sid, self._auth_token, http_client=connection)
                _ = client.messages  # made at its first use, which would be several threads at once
                self._client = client
            return self._client

    def _refused(self, error: Exception) -> NotSent | UnknownSent:
        """Judge an answer that is an error: below 500 Twilio did not take the text, above nobody knows.

        The status is that of HTTP: the one in an error's body is the body's own.
        """
        status, code = self._last.status, getattr(error, "code", None)
        if status is None:
            return UnknownSent(type(error).__name__)
        if status >= 500 or status < 400 or status == _REQUEST_TIMEOUT:
            return UnknownSent(f"HTTP {status}")
        number = code if isinstance(code, int) and code >= _CODE_MIN else None
        meaning = refusal(number, http_status=status)
        return NotSent(
            error_text(number or status, meaning),
            retryable=meaning.retryable,
            opted_out=meaning.opted_out,
            alarm=meaning.alarm,
            retry_after_ms=self._last.retry_after_ms(now_ms=self._clock.now_ms()) if meaning.retryable else None,
        )

    def _why(self, error: Exception) -> str:
        """Return what went wrong with a look-up in our own words: the SDK's name the address, and the number in it."""
        status = self._last.status
        return type(error).__name__ if status is None or status == 200 else f"HTTP {status}"


def _pages(first: "MessagePage") -> "Iterator[MessagePage]":
    """Yield a page and those after it, as they are wanted; raises OperatingError where there is no end to them."""
    page: MessagePage | None = first
    for _ in range(PAGES_MAX):
        if page is None:
            return
        yield page
        page = page.next_page()
    if page is not None:
        raise OperatingError("too many texts to one number to look through")


def _unreached(error: Exception) -> NotSent | UnknownSent:
    """Judge a failure to get an answer: only where no connection came about is it certain that nothing was taken."""
    import ssl  # noqa: PLC0415 - only this path needs them

    from requests.exceptions import ConnectTimeout  # noqa: PLC0415
    from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError, SSLError  # noqa: PLC0415

    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, ProxyError):
        reason = reason.original_error
    if isinstance(error, ConnectTimeout) or isinstance(reason, NewConnectionError):
        return NotSent(NO_CONNECTION, retryable=True)
    if isinstance(reason, SSLError) and isinstance((*reason.args, None)[0], ssl.SSLCertVerificationError):
        return NotSent(f"{NO_CONNECTION}: certificate not accepted", retryable=True, alarm=True)
    return UnknownSent(type(error).__name__)
