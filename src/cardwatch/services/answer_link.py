"""What happens at a link of an e-mail or a notification: looking at it changes nothing, answering it is an answer.

A link answers once. Who confirms also names the last four digits of the card, where we know them: programs that open
links and even press buttons do not know them. Who denies need not: a NO is always taken.
"""

import hmac
import re
from enum import StrEnum

import msgspec

from cardwatch.domain.answer_link import AnswerLink, LinkAction
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.changes import AddMessage, Change
from cardwatch.domain.errors import Contended
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.provider_post import InboundText
from cardwatch.domain.question import Subject, last_four_of
from cardwatch.domain.reply import Meaning, Reply
from cardwatch.ports import Store, StoreReader
from cardwatch.services.handle_reply import CHANGE_WINDOW_MS
from cardwatch.services.questions import ASKING, subject_of
from cardwatch.services.reach import Sender
from cardwatch.services.reply_turn import Result, Turn, Verdict
from cardwatch.services.settle_challenge import deny, no_to_closed, yes_to

WRONG_DIGITS_MAX = 3
"""Wrong digits after which no link to a question confirms it any more, whichever message it was in; of 10,000."""

_ATTEMPTS = 5
_LAST_FOUR = re.compile(r"[0-9]{4}")
_MEANING = {LinkAction.CONFIRM: Meaning.YES, LinkAction.DENY: Meaning.NO}


class LinkResult(StrEnum):
    """What came of pressing a link's button, beside what comes of any answer."""

    INVALID = "invalid"
    """Not a link of ours, or no more: too old, or to a question that is gone."""
    USED = "used"
    """This link has answered already, and its answer still stands."""
    WRONG_DIGITS = "wrong_digits"
    LOCKED = "locked"
    """Wrong digits too often; the other link still denies."""


class LinkPage(msgspec.Struct, frozen=True):
    """What the page of a link shows."""

    action: LinkAction
    subject: Subject
    language: str
    notice: Result | LinkResult | None
    """What is to be said before anything is answered, None while the question stands or an answer may be changed."""
    answerable: bool
    """Whether the link still takes its answer: a NO counts even when the question is over."""
    asks_digits: bool
    """Whether confirming takes the last four digits of the card."""


class Asked(msgspec.Struct, frozen=True):
    """The message that a link was in, and the question that it puts."""

    message: Message
    challenge: Challenge


def look_at_link(link: AnswerLink, *, store: Store | StoreReader, sender: Sender, now_ms: int) -> LinkPage | None:
    """Return what a link's page shows, None for a link that is not valid any more; changes nothing."""
    asked = _asked(link, store, now_ms)
    record = store.transaction(asked.challenge.transaction_id) if asked else None
    if asked is None or record is None:
        return None
    notice, answerable = _standing_of(link, asked.challenge, store, now_ms)
    return LinkPage(
        action=link.action,
        subject=subject_of(asked.challenge, record.transaction, sender=sender),
        language=asked.message.language or "",
        notice=notice,
        answerable=answerable,
        asks_digits=link.action is LinkAction.CONFIRM and last_four_of(record.transaction.card) is not None,
    )


def answer_link(
    link: AnswerLink,
    *,
    digits: str | None,
    store: Store,
    sender: Sender,
    now_ms: int,
    token: str,
    change_window_ms: int = CHANGE_WINDOW_MS,
) -> Result | LinkResult:
    """Answer a question by its link; `digits` are what was typed as the last four of the card.

    Raises Contended if what it is about kept changing.
    """
    for _ in range(_ATTEMPTS):
        asked = _asked(link, store, now_ms)
        if asked is None:
            return LinkResult.INVALID
        turn = _turn(
            link, asked, store=store, sender=sender, now_ms=now_ms, token=token, change_window_ms=change_window_ms
        )
        result, changes = _decide(link, asked, turn, digits)
        if not changes or store.apply(changes) is None:
            return result
    raise Contended("what the link is about kept changing")


def _asked(link: AnswerLink, store: Store | StoreReader, now_ms: int) -> Asked | None:
    """Return what a link is about, if it stands in the message that it names and its own time is not over."""
    message = store.message(link.message_id)
    if link.is_over(now_ms) or message is None or message.kind not in ASKING or message.nonce is None:
        return None
    if not hmac.compare_digest(message.nonce, link.nonce):
        return None
    challenge = store.challenge(message.challenge_id or "")
    return None if challenge is None else Asked(message, challenge)


def _standing_of(
    link: AnswerLink, challenge: Challenge, store: Store | StoreReader, now_ms: int
) -> tuple[Result | LinkResult | None, bool]:
    """Return what is to be said of a link before it is answered, and whether it still can be."""
    confirms = link.action is LinkAction.CONFIRM
    if store.message(_answer_id(link)) is not None:
        return _said_before(link, challenge), False
    if confirms and _free_note(challenge, store) is None:
        return LinkResult.LOCKED, False
    match challenge.state:
        case ChallengeState.ASKED if challenge.expires_at_ms > now_ms:
            return None, True
        case ChallengeState.CONFIRMED:
            return (Result.REPEATED, False) if confirms else (None, True)
        case ChallengeState.DENIED:
            return (None, True) if confirms else (Result.REPEATED, False)
        case _:
            return Result.LATE, not confirms


def _said_before(link: AnswerLink, challenge: Challenge) -> Result | LinkResult:
    """Return what a link that has answered says when it is pressed again: as before, unless its answer stands.

    A browser shows only the second answer to a double click, and that must not call a refused answer done.
    """
    match challenge.state:
        case ChallengeState.CONFIRMED if link.action is LinkAction.DENY:
            return Result.TOO_LATE_TO_CHANGE
        case ChallengeState.CONFIRMED | ChallengeState.DENIED:
            return LinkResult.USED
        case _:
            return Result.LATE


def _answer_id(link: AnswerLink) -> str:
    """Return the id under which a link's one answer is kept."""
    return f"link:{link.nonce}:{link.action}"


def _free_note(challenge: Challenge, store: Store | StoreReader) -> str | None:
    """Return the id under which the next wrong digits are noted, None once there were too many.

    They are counted for the question: a reminder or another channel gives whoever guesses no more tries.
    """
    notes = (_wrong_id(challenge, number + 1) for number in range(WRONG_DIGITS_MAX))
    return next((note for note in notes if store.message(note) is None), None)


def _wrong_id(challenge: Challenge, number: int) -> str:
    return f"link:{challenge.challenge_id}:wrong:{number}"


def _turn(
    link: AnswerLink,
    asked: Asked,
    *,
    store: Store,
    sender: Sender,
    now_ms: int,
    token: str,
    change_window_ms: int,
) -> Turn:
    return Turn(
        text=InboundText(
            message_id=_answer_id(link),
            phone=asked.message.address,
            own_number=asked.message.own_address,
            body=link.action.value,
        ),
        reply=Reply(_MEANING[link.action]),
        store=store,
        sender=sender,
        now_ms=now_ms,
        change_window_ms=change_window_ms,
        token=token,
        channel=asked.message.channel,
    )


def _decide(link: AnswerLink, asked: Asked, turn: Turn, digits: str | None) -> tuple[Result | LinkResult, list[Change]]:
    if turn.store.message(turn.text.message_id) is not None:
        return _said_before(link, asked.challenge), []
    if link.action is LinkAction.CONFIRM:
        refused = _refuse_digits(asked, turn, digits)
        if refused is not None:
            return refused
    outcome, changes = _settle(turn, asked.challenge)
    if outcome.result is Result.UNMATCHED:
        return outcome.result, []  # nothing was done, so the link is not used up
    return outcome.result, [_received(turn, asked, turn.text.message_id), *changes]


def _settle(turn: Turn, challenge: Challenge) -> Verdict:
    if turn.reply.meaning is Meaning.YES:
        return yes_to(turn, challenge)
    return deny(turn, [challenge]) if challenge.state is ChallengeState.ASKED else no_to_closed(turn, challenge)


def _refuse_digits(asked: Asked, turn: Turn, digits: str | None) -> tuple[LinkResult, list[Change]] | None:
    """Return why a confirmation is not taken, and the note of it: a question that is guessed at locks.

    What no card ends in is no guess: a program that presses the button must not lock the link before its reader comes.
    """
    record = turn.record(asked.challenge)
    wanted = last_four_of(record.transaction.card) if record else None
    if wanted is None:
        return None
    free = _free_note(asked.challenge, turn.store)
    if free is None:
        return LinkResult.LOCKED, []
    if digits is None or not _LAST_FOUR.fullmatch(digits):
        return LinkResult.WRONG_DIGITS, []
    if hmac.compare_digest(digits, wanted):
        return None
    was_last = free == _wrong_id(asked.challenge, WRONG_DIGITS_MAX)
    return LinkResult.LOCKED if was_last else LinkResult.WRONG_DIGITS, [_received(turn, asked, free)]


def _received(turn: Turn, asked: Asked, message_id: str) -> AddMessage:
    """Return the change that keeps an answer, so that it is taken once."""
    challenge = asked.challenge
    return AddMessage(
        Message(
            message_id=message_id,
            direction=Direction.INBOUND,
            kind=MessageKind.REPLY,
            state=MessageState.RECEIVED,
            channel=turn.channel,
            address=turn.text.phone,
            own_address=turn.text.own_number,
            body=turn.text.body,
            created_at_ms=turn.now_ms,
            challenge_id=challenge.challenge_id,
            transaction_id=challenge.transaction_id,
        )
    )
