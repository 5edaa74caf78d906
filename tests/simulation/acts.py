"""What a cardholder does, as it is meant: whatever the system makes of it, it is judged by this."""

import msgspec

from cardwatch.domain.reply import Meaning


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One answer by text or through a link, about the payment that its holder had in mind."""

    transaction_id: str
    message_id: str
    """The message that it answers."""
    channel: str
    address: str
    meaning: Meaning
    body: str = ""
    """Of a text."""
    code: str | None = None
    """The two digits in a text."""
    digits: str | None = None
    """What was typed at a link as the card's last four."""
    sid: str = ""
    """Of a text: the same for each delivery of it."""
