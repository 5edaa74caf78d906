"""What happens at a link of an e-mail or a notification: looking at it changes nothing, answering it is an answer.

A link answers once. Who confirms also names the last four digits of the card, where we know them: programs that open
links and even press buttons do not know them. Who denies need not: a NO is always taken.
"""

import hmac
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
"""Wrong digits that a link takes before it confirms no more; of 10,000 possible ones."""

_ATTEMPTS = 5
_MEANING = {LinkAction.CONFIRM: Meaning.YES, LinkAction.DENY: Meaning.NO}


class LinkResult(StrEnum):
    """What came of pressing a link's button, beside what comes of any answer."""

    INVALID = "invalid"
    """Not a link of ours, or no more: too old, or to a question that is gone."""
    USED = "used"
    """This link has answered already."""
    WRONG_DIGITS = "wrong_digits"
    LOCKED = "locked"
    """Wrong digits too often; the other link still denies."""


class LinkPage(msgspec.Struct, frozen=True):
    """What the page of a link shows."""

    action: LinkAction
    subject: Subject
    language: str
    standing: bool
    """Whether the question can still be answered in time."""
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
    challenge = asked.challenge
    return LinkPage(
        action=link.action,
        subject=subject_of(challenge, record.transaction, sender=sender),
        language=asked.message.language or "",
        standing=challenge.state is ChallengeState.ASKED and challenge.expires_at_ms > now_ms,
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
            message_id=f"link:{link.nonce}:{link.action}",
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
        return LinkResult.USED, []
    if link.action is LinkAction.CONFIRM:
        refused = _refuse_digits(link, asked, turn, digits)
        if refused is not None:
            return refused
    outcome, changes = _settle(turn, asked.challenge)
    return outcome.result, [_received(turn, asked, turn.text.message_id), *changes]


def _settle(turn: Turn, challenge: Challenge) -> Verdict:
    if turn.reply.meaning is Meaning.YES:
        return yes_to(turn, challenge)
    return deny(turn, [challenge]) if challenge.state is ChallengeState.ASKED else no_to_closed(turn, challenge)


def _refuse_digits(
    link: AnswerLink, asked: Asked, turn: Turn, digits: str | None
) -> tuple[LinkResult, list[Change]] | None:
    """Return why a confirmation is not taken, and the note of it: a link that is guessed at locks."""
    record = turn.record(asked.challenge)
    wanted = last_four_of(record.transaction.card) if record else None
    if wanted is None:
        return None
    notes = [f"link:{link.nonce}:wrong:{number + 1}" for number in range(WRONG_DIGITS_MAX)]
    free = next((note for note in notes if turn.store.message(note) is None), None)
    if free is None:
        return LinkResult.LOCKED, []
    if hmac.compare_digest((digits or "").encode(), wanted.encode()):
        return None
    return LinkResult.WRONG_DIGITS, [_received(turn, asked, free)]


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
