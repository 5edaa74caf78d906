"""What Twilio posts to us, in our terms: a text that came in, or what became of one that went out."""

import base64
import binascii
from collections.abc import Iterable

from cardwatch.adapters.channels.twilio.errors import error_text, refusal
from cardwatch.domain.message import MessageState
from cardwatch.domain.provider_post import DeliveryReport, InboundText

_STATES = {
    "accepted": MessageState.ACCEPTED,
    "scheduled": MessageState.ACCEPTED,
    "queued": MessageState.ACCEPTED,
    "sending": MessageState.ACCEPTED,
    "sent": MessageState.SENT,
    "partially_delivered": MessageState.SENT,
    "delivered": MessageState.DELIVERED,
    "read": MessageState.DELIVERED,
    "undelivered": MessageState.UNDELIVERED,
    "failed": MessageState.FAILED,
    "canceled": MessageState.FAILED,
}
_KEYWORDS = frozenset({"stop", "start", "help"})
"""Values of OptOutType, which Advanced Opt-Out adds: it knows words of the account's own."""

_FAILED = frozenset({MessageState.UNDELIVERED, MessageState.FAILED})


def decode_body(body: str | bytes | None, *, is_base64: bool) -> bytes | None:
    """Return a request's raw body from what a gateway hands on, None if it is not what `is_base64` says it is.

    API Gateway gives bodies as text, encoded where it takes them for binary, and none where there is no body. The
    signature covers what was posted, so that nothing may be lost on the way.
    """
    if body is None:
        return b""
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if not is_base64:
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error:
        return None


def inbound_text(body_params: Iterable[tuple[str, str]]) -> InboundText | None:
    """Return the text of an inbound post, None if it names no sid or no numbers; media are ignored."""
    fields = dict(body_params)
    sid, phone, own_number = fields.get("MessageSid"), fields.get("From"), fields.get("To")
    if not (sid and phone and own_number):
        return None
    keyword = fields.get("OptOutType", "").lower()
    return InboundText(
        message_id=sid,
        phone=phone,
        own_number=own_number,
        body=fields.get("Body", ""),
        keyword=keyword if keyword in _KEYWORDS else None,
    )


def delivery_report(body_params: Iterable[tuple[str, str]], *, message_id: str) -> DeliveryReport | None:
    """Return the report of a status callback, None if it says nothing known; `message_id` is from its own query."""
    fields = dict(body_params)
    sid, state = fields.get("MessageSid"), _STATES.get(fields.get("MessageStatus", ""))
    if not sid or state is None or not message_id:
        return None
    if state not in _FAILED:
        return DeliveryReport(message_id=message_id, provider_sid=sid, state=state)
    digits = fields.get("ErrorCode", "")
    code = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 8 else None
    meaning = refusal(code)
    return DeliveryReport(
        message_id=message_id,
        provider_sid=sid,
        state=MessageState.EXPIRED if meaning.expired else state,
        error=error_text(code, meaning),
        opted_out=meaning.opted_out,
        once_more=meaning.once_more,
        alarm=meaning.alarm,
    )
