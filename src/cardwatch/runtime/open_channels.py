"""Makes the channels that the settings name, besides texts: e-mail, push, callbacks, alerts. Part of the bootstrap.

Each stands behind a circuit breaker of its own. What cannot work is said at the start, not with the first message.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardwatch.adapters.channels.alerts import AlertChannel, check_alert_urls
from cardwatch.adapters.channels.breaker import CircuitBreaker
from cardwatch.adapters.channels.callback import CallbackChannel, parse_callback_secret
from cardwatch.adapters.channels.links import LINK_LIFE_AFTER_MS, LinkMaker
from cardwatch.adapters.channels.mail.ses import SesChannel, SesServer, check_ses
from cardwatch.adapters.channels.mail.smtp import Security, SmtpChannel, SmtpServer, check_smtp
from cardwatch.adapters.channels.push.channel import PushChannel
from cardwatch.adapters.channels.push.fcm import FcmSender, parse_service_account
from cardwatch.adapters.channels.push.web import WebPushSender, check_vapid
from cardwatch.domain.times import HOUR_MS
from cardwatch.ports import Channel, Clock
from cardwatch.runtime.keys import link_key
from cardwatch.runtime.settings import Settings, WrongSetting

_QUESTION_LIFE_MAX_MS = 10 * HOUR_MS


def open_channels(settings: Settings, *, clock: Clock) -> dict[str, Channel]:
    """Make the channels besides texts, each by what its messages come from or go to; raises WrongSetting."""
    links = link_maker(settings)
    channels: list[Channel] = []
    if settings.email_from is not None:
        channels.append(_email(settings, links, clock))
    if settings.fcm_credentials is not None or settings.vapid_private_key is not None:
        channels.append(_push(settings, links, clock))
    if settings.callback_url is not None:
        channels.append(_callback(settings, clock))
    if settings.alert_urls:
        channels.append(_alerts(settings, clock))
    return {channel.name: CircuitBreaker(channel, clock=clock) for channel in channels}


def link_maker(settings: Settings) -> LinkMaker:
    """Return what makes the links of messages."""
    return LinkMaker(
        public_url=settings.effective_public_url, key=link_key(settings), life_after_ms=link_life_ms(settings)
    )


def link_life_ms(settings: Settings) -> int:
    """Return how long links outlive their question: as long as its YES may still be taken back, and then some."""
    return max(LINK_LIFE_AFTER_MS, settings.change_window_s * 1000 + _QUESTION_LIFE_MAX_MS)


def own_addresses(settings: Settings, channels: dict[str, Channel]) -> dict[str, str]:
    """Return our end of each channel; a callback's is its receiver, which is the same for all of them."""
    named = {name: channel.own_address for name, channel in channels.items()}
    return named | ({"callback": settings.callback_url} if settings.callback_url else {})


def check_email(settings: Settings) -> str:
    """Ask the mail server or SES whether it takes mail of ours; returns one line, raises OperatingError."""
    if settings.smtp_host is not None:
        return check_smtp(_smtp_server(settings), from_address=settings.email_from or "")
    return check_ses(_ses_server(settings))


def _email(settings: Settings, links: LinkMaker, clock: Clock) -> Channel:
    sender = settings.email_from or ""
    with _named("CARDWATCH_EMAIL_FROM"):
        if settings.smtp_host is not None:
            return SmtpChannel(
                server=_smtp_server(settings),
                from_address=sender,
                institution=settings.institution,
                links=links,
                clock=clock,
            )
        ses = SesChannel(
            server=_ses_server(settings),
            from_address=sender,
            institution=settings.institution,
            links=links,
            clock=clock,
        )
    try:
        ses.prepare()
    except ImportError:
        raise WrongSetting("e-mail through Amazon SES needs boto3: pip install 'cardwatch[aws]'") from None
    return ses


def _smtp_server(settings: Settings) -> SmtpServer:
    with _named("CARDWATCH_SMTP_*"):
        return SmtpServer(
            host=settings.smtp_host or "",
            port=settings.smtp_port,
            security=Security(settings.smtp_security),
            username=settings.smtp_username,
            password=settings.smtp_password,
        )


def _ses_server(settings: Settings) -> SesServer:
    return SesServer(region=settings.aws_region or "", configuration_set=settings.ses_configuration_set)


def _push(settings: Settings, links: LinkMaker, clock: Clock) -> Channel:
    fcm = web_push = None
    try:
        if settings.fcm_credentials is not None:
            with _named("CARDWATCH_FCM_CREDENTIALS"):
                fcm = FcmSender(service_account=_service_account(settings.fcm_credentials), clock=clock)
                fcm.prepare()
        if settings.vapid_private_key is not None:
            key, subject = settings.vapid_private_key, settings.vapid_subject or ""
            with _named("CARDWATCH_VAPID_PRIVATE_KEY"):
                check_vapid(private_key=key, subject=subject)
                web_push = WebPushSender(vapid_private_key=key, subject=subject, clock=clock)
                web_push.prepare()
    except ImportError:
        raise WrongSetting("notifications need more packages: pip install 'cardwatch[push]'") from None
    return PushChannel(links=links, clock=clock, fcm=fcm, web_push=web_push)


def _service_account(name: str) -> dict[str, str]:
    path = Path(name).expanduser()
    try:
        return parse_service_account(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongSetting(f"CARDWATCH_FCM_CREDENTIALS: {path} cannot be read: {error.strerror}") from error


def _callback(settings: Settings, clock: Clock) -> Channel:
    with _named("CARDWATCH_CALLBACK_SECRET"):
        secrets = tuple(parse_callback_secret(secret) for secret in settings.callback_secret)
    return CallbackChannel(url=settings.callback_url or "", secrets=secrets, clock=clock)


def _alerts(settings: Settings, clock: Clock) -> Channel:
    with _named("CARDWATCH_ALERT_URLS"):
        check_alert_urls(settings.alert_urls)
    return AlertChannel(urls=settings.alert_urls, clock=clock)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say which setting a fault is in."""
    try:
        yield
    except ValueError as error:
        raise WrongSetting(f"{name}: {error}") from None
