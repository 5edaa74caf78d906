"""In whose name and from where messages speak, by which rules; known to every function, whichever of them sends."""

from cardwatch.domain.challenge import ChannelName
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.policy import Policy, parse_policy
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.settings import Settings, WrongSetting
from cardwatch.services.alerts import ALERT_CHANNEL
from cardwatch.services.reach import Sender
from cardwatch.services.tell_payment_system import CALLBACK_CHANNEL


def sender_of(home: Home) -> Sender:
    """Return our end of the conversation; raises WrongSetting where the policy cannot be read."""
    settings = home.settings
    return Sender(
        institution=settings.institution,
        own_number=settings.twilio_sender,
        others=own_addresses(settings),
        rules=home.part(policy_of).asking,
    )


def own_addresses(settings: Settings) -> dict[str, str]:
    """Return what messages come from on the channels besides texts, by the settings that open those channels."""
    named = {
        ChannelName.EMAIL.value: settings.email_from,
        ChannelName.PUSH.value: "push" if settings.fcm_credentials or settings.vapid_private_key else None,
        CALLBACK_CHANNEL: settings.callback_url,
        ALERT_CHANNEL: "" if settings.alert_urls else None,
    }
    return {channel: address for channel, address in named.items() if address is not None}


def policy_of(home: Home) -> Policy:
    """Read the policy file that the settings name, the empty policy where there is none; raises WrongSetting."""
    path = home.settings.policy_file
    if path is None:
        return Policy()
    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        raise WrongSetting(f"CARDWATCH_POLICY: {path} cannot be read: {error.strerror}") from error
    except InvalidInput as error:
        raise WrongSetting(f"CARDWATCH_POLICY: {path}: {error}") from error
