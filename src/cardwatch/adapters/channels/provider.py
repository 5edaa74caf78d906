"""The messaging provider of one process: the channel that sends, and the reader of what it posts back."""

from collections.abc import Sequence

from cardwatch.adapters.channels.simulated_phone import SIGNATURE_HEADER, SimulatedPhone
from cardwatch.adapters.channels.twilio import signature as twilio_signature
from cardwatch.adapters.channels.twilio import webhook as twilio_webhook
from cardwatch.adapters.channels.twilio.channel import TwilioChannel
from cardwatch.domain.provider_post import DeliveryReport, Form, InboundText, PostedForm
from cardwatch.ports import Channel, Clock, Messages, Randomness

INBOUND_PATH = "/webhook/twilio"
STATUS_PATH = "/webhook/twilio/status"

SIMULATED_NUMBER = "+15005550006"
"""Twilio's own test number: no telephone has it."""


class MessagingProvider:
    """Twilio, or the simulated phone in the same form."""

    def __init__(
        self, *, channel: Channel, public_url: str, tokens: Sequence[str], phone: SimulatedPhone | None = None
    ) -> None:
        self.channel = channel
        self.simulated = phone is not None
        self._public_url = public_url
        self._tokens = tuple(tokens)
        self._phone = phone

    def read_form(self, body: bytes) -> Form | None:
        """Return the fields of a form post, blank and repeated ones kept; None if it is not a form."""
        return twilio_signature.parse_form(body)

    def authentic(self, *, path_and_query: str, form: Form, signature: str | None) -> bool:
        """Say whether a form posted to a path carries the provider's signature for the public URL."""
        return twilio_signature.verify(
            public_url=self._public_url,
            raw_path_and_query=path_and_query,
            body_params=form,
            signature=signature,
            tokens=self._tokens,
        )

    def inbound_text(self, form: Form) -> InboundText | None:
        """Read a cardholder's text, None if it names no sid or no numbers."""
        return twilio_webhook.inbound_text(form)

    def delivery_report(self, form: Form, *, message_id: str) -> DeliveryReport | None:
        """Read what became of a text, None if the report says nothing that is kept."""
        return twilio_webhook.delivery_report(form, message_id=message_id)

    def typed_reply(self, phone: str, body: str) -> PostedForm:
        """Make the signed post of a text typed on the simulated phone."""
        if self._phone is None:
            raise RuntimeError("only the simulated phone can be typed on")
        typed = self._phone.typed(url=self._public_url + INBOUND_PATH, phone=phone, body=body)
        return PostedForm(INBOUND_PATH, typed.body, typed.headers[SIGNATURE_HEADER])


def twilio_provider(
    *,
    account_sid: str,
    auth_tokens: Sequence[str],
    own_number: str,
    messaging_service_sid: str | None,
    public_url: str,
    reports: bool,
    api_url: str,
    clock: Clock,
) -> MessagingProvider:
    """Make the provider that sends through Twilio; the first token sends, all of them are accepted in signatures.

    `reports` says whether Twilio can reach the public URL, and so tell what becomes of texts: it refuses a text whose
    callback has no address that it could post to.
    """
    channel = TwilioChannel(
        account_sid=account_sid,
        auth_token=auth_tokens[0],
        own_number=own_number,
        messaging_service_sid=messaging_service_sid,
        clock=clock,
        status_callback_url=public_url + STATUS_PATH if reports else None,
        api_url=api_url,
    )
    channel.prepare()
    return MessagingProvider(channel=channel, public_url=public_url, tokens=auth_tokens)


def simulated_provider(*, store: Messages, public_url: str, randomness: Randomness) -> MessagingProvider:
    """Make the provider of a system without one."""
    phone = SimulatedPhone(store=store, own_address=SIMULATED_NUMBER, randomness=randomness)
    return MessagingProvider(channel=phone, public_url=public_url, tokens=[phone.auth_token], phone=phone)
