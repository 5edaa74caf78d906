"""E-mail through Amazon SES (API v2) by boto3, each mail as we composed it.

boto3 is imported with the first mail (`prepare` does it ahead) and never tries again by itself: the outbox does, and
knows what may be tried. SES has no key that makes a request one and no way to ask for a mail, so what has no clear
answer is left alone. What AWS says in words names addresses: only its codes are kept.
"""

import logging
import threading
from typing import Any

import msgspec

from cardwatch.adapters.channels.links import LinkMaker
from cardwatch.adapters.channels.mail.text import checked_sender, compose, not_mailable
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import Clock, NotSent, OnUnknown, Sent, UnknownSent

TIMEOUT_S = 10.0
"""For connecting, and again for the answer."""


_NOT_READABLE = (AttributeError, TypeError, ValueError)
"""What botocore raises over an answer that is JSON of another shape, or no text."""

_NO_CLIENT = "no SES client: check the AWS settings"
_UNCLEAR = UnknownSent("no answer")


class _Refusal(msgspec.Struct, frozen=True):
    word: str
    retryable: bool = False
    alarm: bool = False


_CREDENTIALS = _Refusal("not authenticated: check the AWS credentials and their policy", alarm=True)

_REFUSALS = {
    "MessageRejected": _Refusal(
        "not accepted: check that sender and, in the sandbox, receivers are verified", alarm=True
    ),
    "MailFromDomainNotVerified": _Refusal("sender's domain not verified", alarm=True),
    "AccountSuspended": _Refusal("account suspended", alarm=True),
    "SendingPaused": _Refusal("sending paused", alarm=True),
    "NotFound": _Refusal("configuration set or identity not found", alarm=True),
    "BadRequest": _Refusal("request not accepted"),
    "TooManyRequests": _Refusal("too many requests", retryable=True),
    "Throttling": _Refusal("too many requests", retryable=True),
    "LimitExceeded": _Refusal("limit reached", retryable=True),
    "AccessDenied": _CREDENTIALS,
    "ExpiredToken": _CREDENTIALS,
    "IncompleteSignature": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
    "InvalidSignature": _CREDENTIALS,
    "MissingAuthenticationToken": _CREDENTIALS,
    "NotAuthorized": _CREDENTIALS,
    "OptInRequired": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "UnrecognizedClient": _CREDENTIALS,
    "RequestExpired": _Refusal("this machine's clock is wrong", alarm=True),
    "RequestTimeTooSkewed": _Refusal("this machine's clock is wrong", alarm=True),
}
"""By code without its "Exception": errors of SendEmail (API v2) and those that all of AWS has in common."""


class SesServer(msgspec.Struct, frozen=True, kw_only=True):
    """Which SES is spoken to; credentials are found where AWS tools look for them."""

    region: str
    endpoint_url: str | None = None
    """Instead of AWS's own, for tests and private endpoints."""
    configuration_set: str | None = None
    timeout_s: float = TIMEOUT_S


class SesChannel:
    """The channel "email" through one AWS account."""

    name = "email"
    on_unknown = OnUnknown.LEAVE

    def __init__(
        self, *, server: SesServer, from_address: str, institution: str, links: LinkMaker, clock: Clock
    ) -> None:
        """Take what is needed; nothing is imported or connected yet. `institution` is the name that mails come from.

        Raises ValueError for a From address that is not one plain address.
        """
        self.own_address = checked_sender(from_address)
        self._server = server
        self._institution = institution
        self._links = links
        self._clock = clock
        self._lock = threading.Lock()
        self._client: Any = None

    def prepare(self) -> None:
        """Import boto3 and make its client, so that the first mail of a server slows nobody's payment."""
        self._connect()

    def send(self, message: Message) -> Sent | NotSent | UnknownSent:
        """Hand a mail to SES; its id is the one that bounces and complaints name."""
        now_ms = self._clock.now_ms()
        unwanted = not_mailable(message, now_ms=now_ms)
        if unwanted is not None:
            return unwanted
        if not message.address.isascii():
            return NotSent("address needs SMTPUTF8, which SES lacks", retryable=False)
        mail = compose(
            message, links=self._links, from_address=self.own_address, institution=self._institution, now_ms=now_ms
        )
        return self._hand_over(mail.as_bytes(), message.address)

    def find(self, message: Message) -> Sent | None:  # noqa: ARG002 - the port's
        """Raise OperatingError: SES cannot be asked what it has."""
        raise OperatingError("SES cannot be asked whether it has a mail")

    def _hand_over(self, mail: bytes, address: str) -> Sent | NotSent | UnknownSent:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy; only what sends pays for it

        request: dict[str, Any] = {
            "FromEmailAddress": self.own_address,
            "Destination": {"ToAddresses": [address]},
            "Content": {"Raw": {"Data": mail}},
        }
        if self._server.configuration_set is not None:
            request["ConfigurationSetName"] = self._server.configuration_set
        try:
            client = self._connect()
        except (BotoCoreError, ValueError):  # no such profile, region or URL
            return NotSent(_NO_CLIENT, retryable=False, alarm=True)
        try:
            answer = client.send_email(**request)
        except ClientError as error:
            return _refused(error)
        except BotoCoreError as error:
            return _unreached(error)
        except _NOT_READABLE:
            return UnknownSent("answer not readable")
        sid = answer.get("MessageId")
        return Sent(sid) if isinstance(sid, str) and sid else UnknownSent("answer without an id")

    def _connect(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _client(self._server)
            return self._client


def check_ses(server: SesServer) -> str:
    """Return what SES says of the account in one line, send nothing; raises OperatingError that names what is wrong."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy; only this check pays for it

    try:
        client = _client(server)
    except (BotoCoreError, ValueError):
        raise OperatingError(f"SES in {server.region}: {_NO_CLIENT}") from None
    try:
        account = client.get_account()
    except ClientError as error:
        raise OperatingError(f"SES in {server.region}: {_refused(error).error}") from None
    except BotoCoreError as error:
        raise OperatingError(f"SES in {server.region}: {_unreached(error).error}") from None
    except _NOT_READABLE:
        raise OperatingError(f"SES in {server.region}: answer not readable") from None
    if "SendingEnabled" not in account:
        raise OperatingError(f"SES in {server.region}: answer not readable")
    if not account["SendingEnabled"]:
        raise OperatingError(f"SES in {server.region}: sending is switched off for this account")
    quota = account.get("SendQuota", {})
    access = "production" if account.get("ProductionAccessEnabled") else "sandbox: only verified addresses get mail"
    sent, most = quota.get("SentLast24Hours", 0), quota.get("Max24HourSend", 0)
    return f"SES in {server.region} sends, {sent:.0f} of {most:.0f} mails in 24 hours ({access})"


def _client(server: SesServer) -> Any:
    import boto3.session  # noqa: PLC0415 - heavy; only what sends pays for it
    from botocore.config import Config  # noqa: PLC0415

    for name in ("boto3", "botocore", "urllib3.connectionpool"):
        # At DEBUG they log requests with all that is in them.
        logging.getLogger(name).setLevel(logging.INFO)
    config = Config(
        connect_timeout=server.timeout_s,
        read_timeout=server.timeout_s,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    # A session of its own: boto3's default one is not made for threads.
    session = boto3.session.Session(region_name=server.region)
    return session.client("sesv2", endpoint_url=server.endpoint_url, config=config)


def _refused(error: Any) -> NotSent | UnknownSent:
    """Judge an answer that is an error: below 500 SES did not take the mail, above nobody knows."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if not isinstance(status, int) or not 400 <= status < 500:
        return UnknownSent(f"HTTP {status}" if status else "answer not readable")
    code = str(error.response.get("Error", {}).get("Code", "")).removesuffix("Exception")
    known = _REFUSALS.get(code)
    if known is None:
        known = _REFUSALS["Throttling"] if status == 429 else _CREDENTIALS if status in (401, 403) else None
        code = str(status)
    meaning = known or _Refusal("refused")
    return NotSent(f"{code} {meaning.word}", retryable=meaning.retryable, alarm=meaning.alarm)


def _unreached(error: Exception) -> NotSent | UnknownSent:
    """Judge a failure to ask: only what fails before the request is made is certain not to have been taken."""
    from botocore import exceptions as boto  # noqa: PLC0415 - heavy; only what sends pays for it

    match error:
        case boto.SSLError():
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            return NotSent("certificate of SES not trusted", retryable=False, alarm=True) if untrusted else _UNCLEAR
        case boto.ConnectionError():
            return NotSent("no connection", retryable=True)
        case boto.CredentialRetrievalError() | boto.MetadataRetrievalError():
            return NotSent("AWS credentials not to be had now", retryable=True)
        case boto.NoCredentialsError() | boto.PartialCredentialsError() | boto.ProfileNotFound():
            return NotSent("no AWS credentials", retryable=False, alarm=True)
    return _UNCLEAR
