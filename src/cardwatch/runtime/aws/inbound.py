"""Reading what Twilio posts, in the function that takes it: signatures alone, never Twilio's client."""

from cardwatch.adapters.channels.provider import MessagingProvider
from cardwatch.adapters.channels.twilio.channel import TwilioChannel
from cardwatch.ports import Provider
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.settings import WrongSetting


def provider_of(home: Home) -> Provider:
    """Return what reads Twilio's posts; raises WrongSetting where it has nothing to check signatures with."""
    settings = home.settings
    if settings.twilio_auth_token is None:
        raise WrongSetting("TWILIO_AUTH_TOKEN is needed, in CARDWATCH_TWILIO_SECRET_ARN: it checks signatures")
    if settings.public_url is None:
        raise WrongSetting("CARDWATCH_PUBLIC_URL is needed: signatures are made for it")
    channel = TwilioChannel(
        account_sid=settings.twilio_account_sid or "",
        auth_token=settings.twilio_auth_tokens[0],
        own_number=settings.twilio_sender,
        clock=home.clock,
    )
    return MessagingProvider(channel=channel, public_url=settings.public_url, tokens=settings.twilio_auth_tokens)
