"""What a mail server's refusal means for a mail: a word for the record, and what is done about it.

Source: RFC 5321 (4.2.3 codes, 4.3.2 where they come), RFC 4954 (login), RFC 3463 (enhanced codes: x.7.x is policy).
"""

import re
from enum import StrEnum

from cardwatch.ports import NotSent


class Step(StrEnum):
    """Where in the conversation a server refuses; the values say so where a code alone would not."""

    GREETING = "server refuses connections"
    LOGIN = "login refused: check user name and password"
    SENDER = "sender refused: check the From address"
    RECEIVER = "receiver refused"
    CONTENT = "mail refused"


_OUR_AFFAIR = frozenset({Step.GREETING, Step.LOGIN, Step.SENDER})
"""Steps that are the same for every mail: refused once, refused always."""

_WORDS = {
    421: "server not available",
    450: "mailbox busy",
    451: "error at the server",
    452: "server out of room",
    454: "not possible now",
    530: "login needed",
    534: "login needs a stronger mechanism",
    535: "login refused: check user name and password",
    538: "login needs TLS",
    550: "no such mailbox",
    551: "mailbox is elsewhere",
    552: "mailbox full",
    553: "not a valid mailbox",
    556: "domain takes no mail",
}

_LOGIN_CODES = frozenset({530, 534, 535, 538})
_ENHANCED = re.compile(rb"([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
_POLICY = b"7"


def refused(step: Step, code: int, text: bytes) -> NotSent:
    """Judge an answer that is no success; of what the server says only the numbers are kept.

    A 4xx may pass later. A 5xx does not; where it would meet every mail (connection, login, sender, policy), an
    operator has to act.
    """
    if not 400 <= code < 600:
        return NotSent("answer not readable", retryable=True)
    enhanced = _ENHANCED.match(text)
    policy = enhanced is not None and enhanced[2] == _POLICY
    number = f"{code} {enhanced[0].decode('ascii')}" if enhanced else str(code)
    error = f"{number} {_word(step, code, policy=policy)}"
    if code < 500:
        return NotSent(error, retryable=True)
    return NotSent(error, retryable=False, alarm=policy or step in _OUR_AFFAIR or code in _LOGIN_CODES)


def _word(step: Step, code: int, *, policy: bool) -> str:
    if code >= 500 and code not in _LOGIN_CODES:
        if step in _OUR_AFFAIR:
            return step.value
        if policy:
            return "refused by policy: check relaying, SPF, DKIM and the sender's standing"
        if step is Step.CONTENT:
            return step.value
    return _WORDS.get(code, step.value)
