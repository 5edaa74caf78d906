"""The channels of the function that sends: Twilio for texts, and the others that the settings name."""

import msgspec

from cardwatch.adapters.channels.breaker import CircuitBreaker
from cardwatch.adapters.channels.provider import twilio_provider
from cardwatch.ports import Channel
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.open_channels import open_channels
from cardwatch.runtime.settings import Settings, WrongSetting


def channels_of(home: Home) -> dict[str, Channel]:
    """Open every channel by its name; raises WrongSetting where nothing could be sent, or a link not be signed."""
    settings = home.settings
    channels = _others(settings, home)
    if settings.twilio_account_sid is not None:
        provider = twilio_provider(
            account_sid=settings.twilio_account_sid,
            auth_tokens=settings.twilio_auth_tokens,
            own_number=settings.twilio_sender,
            messaging_service_sid=settings.twilio_messaging_service_sid if settings.twilio_from_number else None,
            public_url=settings.effective_public_url,
            reports=settings.exposed or settings.twilio_is_near,
            api_url=settings.twilio_api_url,
            clock=home.clock,
        )
        channels[provider.channel.name] = CircuitBreaker(provider.channel, clock=home.clock)
    if not channels:
        raise WrongSetting("TWILIO_ACCOUNT_SID is needed, in CARDWATCH_TWILIO_SECRET_ARN: nothing can be sent")
    return channels


def _others(settings: Settings, home: Home) -> dict[str, Channel]:
    linked = settings.email_from or settings.fcm_credentials or settings.vapid_private_key
    if linked and settings.link_key is None:
        raise WrongSetting("CARDWATCH_LINK_KEY is needed, in CARDWATCH_API_SECRET_ARN: links are signed with it")
    if not (linked or settings.callback_url or settings.alert_urls):
        return {}
    # A key of this process's own where no link is made: the embedded home keeps one in a folder, which is not here.
    keyed = msgspec.structs.replace(settings, link_key=settings.link_key or home.randomness.token(16))
    return open_channels(keyed, clock=home.clock)
