"""What the page says of whatever came of a link: one line of its language, and the status of the answer."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from cardwatch.domain.link_question import PageLine
from cardwatch.services.answer_link import LinkResult
from cardwatch.services.reply_turn import Result


class Tone(StrEnum):
    """How a line is shown; the values are classes of the stylesheet."""

    DONE = "done"
    """The answer was taken."""
    CAUTION = "caution"
    """Something is left to do, or was not done."""


class Saying(msgspec.Struct, frozen=True):
    """A line of the page and the way it is given."""

    line: PageLine
    tone: Tone = Tone.CAUTION
    status: int = 200
    """The HTTP status, for programs: people read the line."""


INVALID = Saying(PageLine.INVALID, status=404)
UNAVAILABLE = Saying(PageLine.UNAVAILABLE, status=503)
NOT_TAKEN = Saying(PageLine.UNAVAILABLE, status=422)
"""The form was incomplete, or had been open for too long: nothing was taken, and it can be sent again."""

SAYINGS: Mapping[Result | LinkResult, Saying] = MappingProxyType(
    {
        Result.CONFIRMED: Saying(PageLine.CONFIRMED, Tone.DONE),
        Result.DENIED: Saying(PageLine.DENIED, Tone.DONE),
        Result.HELD_AGAIN: Saying(PageLine.HELD, Tone.DONE),
        Result.REOPENED: Saying(PageLine.REVIEW, Tone.DONE),
        Result.LATE: Saying(PageLine.EXPIRED),
        Result.TOO_LATE_TO_CHANGE: Saying(PageLine.ANSWERED),
        Result.REPEATED: Saying(PageLine.ALREADY, Tone.DONE),
        Result.DUPLICATE: Saying(PageLine.ALREADY, Tone.DONE),
        LinkResult.USED: Saying(PageLine.ALREADY, Tone.DONE),
        LinkResult.WRONG_DIGITS: Saying(PageLine.WRONG_LAST_FOUR, status=422),
        LinkResult.LOCKED: INVALID,
        LinkResult.INVALID: INVALID,
        Result.PHONE_CHANGED: INVALID,
        Result.UNMATCHED: INVALID,
        # Texts alone come to these; a link that did would have done nothing.
        Result.CODE_NEEDED: INVALID,
        Result.PROMPTED: INVALID,
        Result.GIVEN_UP: INVALID,
        Result.OPTED_OUT: INVALID,
        Result.OPTED_IN: INVALID,
        Result.HELP: INVALID,
    }
)
"""Every result there is; a test holds the table complete."""
