"""Asks Twilio whether an account is fit to send: credentials, number, balance."""

from cardwatch.adapters.channels.twilio.channel import TIMEOUT_S
from cardwatch.adapters.channels.twilio.http import http_client
from cardwatch.adapters.channels.twilio.lookup import MESSAGING_SERVICE_PREFIX
from cardwatch.domain.errors import OperatingError


def check_account(*, account_sid: str, auth_token: str, own_number: str, api_url: str) -> str:
    """Return what Twilio says of an account in one line; raises OperatingError that names what is wrong."""
    from requests.exceptions import RequestException  # noqa: PLC0415 - heavy; only this check pays for it
    from twilio.base.exceptions import TwilioException  # noqa: PLC0415
    from twilio.rest import Client  # noqa: PLC0415

    client = Client(account_sid, auth_token, http_client=http_client(timeout_s=TIMEOUT_S, api_url=api_url))
    try:
        account = client.api.v2010.accounts(account_sid).fetch()
        balance = client.api.v2010.accounts(account_sid).balance.fetch()
        owned = own_number.startswith(MESSAGING_SERVICE_PREFIX) or bool(
            client.incoming_phone_numbers.list(phone_number=own_number, limit=1)
        )
    except TwilioException as error:
        status = getattr(error, "status", None)
        raise OperatingError(
            "Twilio does not accept TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN"
            if status in (401, 403, 404)
            else f"Twilio answered with an error ({status})"
        ) from None
    except (RequestException, ValueError) as error:
        raise OperatingError(f"Twilio at {api_url} cannot be reached ({type(error).__name__})") from None
    if not owned:
        raise OperatingError("TWILIO_FROM_NUMBER is not a number of this Twilio account")
    return f"Twilio account {account.status}, balance {balance.balance} {balance.currency}"
