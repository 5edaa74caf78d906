"""A text that the fake took, and one request's fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from tests.fakes.twilio.numbers import ACCOUNT_SID, OWN_NUMBERS

TRIAL_SENTENCE = "Sent from your Twilio trial account - "


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How one request goes wrong."""

    status: int | None = None
    """Answer with this status; None answers as usual."""
    code: int | None = None
    """Twilio's code in the error body; None sends a page that is no JSON."""
    takes: bool = False
    """Whether a text is taken nevertheless."""
    delay_s: float = 0.0
    """Wait before answering."""
    drop: bool = False
    """Close the connection without an answer."""
    body: str | None = None
    """Answer with exactly this body (status 201 or 200 unless another is given)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers of the answer."""
    stall_s: float = 0.0
    """Wait in the middle of the answer's body."""
    cut: bool = False
    """Close the connection in the middle of the answer's body."""

    @property
    def answers_itself(self) -> bool:
        """Whether the usual answer is replaced."""
        return self.status is not None or self.drop or self.body is not None


@dataclass
class Text:
    """A text that the fake took."""

    sid: str
    fields: dict[str, str]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = "queued"
    error_code: int | None = None
    redacted: bool = False
    """Whether the account hides its body."""

    def as_json(self) -> dict[str, Any]:
        """Return the resource as Twilio prints it; a service chooses the number only when it sends."""
        chosen = None if self.status in {"accepted", "queued"} else next(iter(OWN_NUMBERS))
        return {
            "sid": self.sid,
            "account_sid": ACCOUNT_SID,
            "to": self.fields["To"],
            "from": self.fields.get("From", chosen),
            "messaging_service_sid": self.fields.get("MessagingServiceSid"),
            "body": "" if self.redacted else self.fields["Body"],
            "status": self.status,
            "direction": "outbound-api",
            "date_created": format_datetime(self.created),
            "date_sent": None,
            "date_updated": format_datetime(self.created),
            "num_segments": "1",
            "num_media": "0",
            "error_code": self.error_code,
            "error_message": None,
            "price": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{self.sid}.json",
        }
