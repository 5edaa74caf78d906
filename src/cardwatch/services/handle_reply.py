"""What a cardholder's text does: everything that follows from it, in one write.

Only a clear YES from the right phone, in time, with the code if the question carries one, releases a payment. NO wins
over YES and needs no code; whatever is unclear, late or changed goes to a person.
"""

from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.challenge import ChallengeState, ChannelName
from cardwatch.domain.changes import AddMessage, Change, PutChallenge, PutOptOut, successor
from cardwatch.domain.errors import Contended
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.provider_post import InboundText
from cardwatch.domain.question import TextKind
from cardwatch.domain.reply import Meaning, Reply, understand
from cardwatch.domain.times import HOUR_MS
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import close, expire
from cardwatch.services.reach import Sender
from cardwatch.services.reply_turn import ReplyOutcome, Result, Turn, Verdict
from cardwatch.services.settle_challenge import can_change, deny, no_after_yes, no_to_closed, yes_to
from cardwatch.services.track_delivery import opt_out

CHANGE_WINDOW_MS = HOUR_MS
"""How long after a YES a NO takes it back."""

_ATTEMPTS = 5
_BODY_LENGTH_MAX = 1_600


def handle_reply(
    text: InboundText,
    *,
    store: Store,
    sender: Sender,
    now_ms: int,
    token: str,
    change_window_ms: int = CHANGE_WINDOW_MS,
) -> ReplyOutcome:
    """Handle a text that came in; the same text again changes nothing.

    Raises Contended if what it is about kept changing: the provider delivers it again.
    """
    # The provider acts on its keywords before we see them, so its word is the last on what is one.
    reply = Reply(Meaning(text.keyword)) if text.keyword else understand(text.body)
    for _ in range(_ATTEMPTS):
        if store.message(text.message_id) is not None:
            return ReplyOutcome(Result.DUPLICATE)
        turn = Turn(
            text=text,
            reply=reply,
            store=store,
            sender=sender,
            now_ms=now_ms,
            change_window_ms=change_window_ms,
            token=token,
        )
        outcome, changes = _decide(turn)
        received = _received(turn, outcome)
        if store.apply([AddMessage(received), *changes]) is None:
            return outcome
    raise Contended("what the reply is about kept changing")


def _received(turn: Turn, outcome: ReplyOutcome) -> Message:
    """Return the row that keeps a text; a card number in it is not kept (PCI DSS 3.4)."""
    body = turn.text.body[:_BODY_LENGTH_MAX]
    return Message(
        message_id=turn.text.message_id,
        direction=Direction.INBOUND,
        kind=MessageKind.REPLY,
        state=MessageState.RECEIVED,
        channel=ChannelName.SMS,
        address=turn.text.phone,
        own_address=turn.text.own_number,
        body="(a card number was removed)" if contains_card_number(turn.text.body) else body,
        created_at_ms=turn.now_ms,
        challenge_id=outcome.challenge_id,
        transaction_id=outcome.transaction_id,
        provider_sid=turn.text.message_id,
    )


def _decide(turn: Turn) -> Verdict:
    match turn.reply.meaning:
        case Meaning.YES:
            return _yes(turn)
        case Meaning.NO:
            return _no(turn)
        case Meaning.STOP:
            return _stop(turn)
        case Meaning.START:
            return _start(turn)
        case Meaning.HELP:
            return turn.outcome(Result.HELP), []
        case Meaning.UNCLEAR:
            return _unclear(turn)


def _yes(turn: Turn) -> Verdict:
    """Find what a YES is about; without the code it needs it is about nothing yet."""
    standing = turn.answerable()
    past = turn.past()
    if turn.reply.code is not None:
        named = [c for c in [*turn.standing(), *past] if c.code == turn.reply.code]
        if named:
            return yes_to(turn, named[0])
    elif not standing and past:
        return yes_to(turn, past[0])
    elif len(standing) == 1 and (standing[0].code is None or turn.is_over(standing[0])):
        return yes_to(turn, standing[0])
    if not standing:
        return turn.outcome(Result.UNMATCHED), []
    if standing[0].code is None:
        return _unclear(turn)
    return turn.outcome(Result.CODE_NEEDED, standing[0]), turn.ack(standing[0], TextKind.CODE_NEEDED)


def _no(turn: Turn) -> Verdict:
    """Deny what a NO is about: the question it names, else all that stand, else what was settled last."""
    standing, past = turn.standing(), turn.past()
    named = [c for c in [*standing, *past] if turn.reply.code is not None and c.code == turn.reply.code]
    if named and named[0].state is not ChallengeState.ASKED:
        return no_to_closed(turn, named[0])
    targets = named or turn.answerable()
    if targets:
        return deny(turn, targets)
    confirmed = [c for c in past if c.state is ChallengeState.CONFIRMED and can_change(turn, c)]
    if confirmed:
        return no_after_yes(turn, confirmed)
    return no_to_closed(turn, past[0]) if past else (turn.outcome(Result.UNMATCHED), [])


def _unclear(turn: Turn) -> Verdict:
    """Ask once more, then leave it to an analyst; what came late or about nothing is not answered at all."""
    standing = turn.answerable()
    if not standing:
        return turn.outcome(Result.UNMATCHED), []
    challenge = standing[0]
    if turn.is_over(challenge):
        ended = expire(challenge, status=turn.status(challenge), now_ms=turn.now_ms)
        return turn.outcome(Result.LATE, challenge), [*ended, *turn.ask_next([challenge])]
    if challenge.prompts == 0:
        prompted = successor(challenge, prompts=1)
        return turn.outcome(Result.PROMPTED, challenge), [
            PutChallenge(prompted),
            *turn.ack(challenge, TextKind.UNCLEAR),
        ]
    changes = close(challenge, ChallengeState.UNCLEAR, status=turn.status(challenge), cause="reply_unclear")
    changes += turn.ack(challenge, TextKind.GIVEN_UP)
    return turn.outcome(Result.GIVEN_UP, challenge), [*changes, *turn.ask_next([challenge])]


def _stop(turn: Turn) -> Verdict:
    """Honour an opt-out: every open question of the phone ends unconfirmed; the provider confirms it, not we."""
    phone = turn.text.phone
    open_challenges = turn.store.open_challenges(phone)
    changes: list[Change] = [*opt_out(phone, store=turn.store, now_ms=turn.now_ms)]
    for challenge in open_challenges:
        changes += close(
            challenge,
            ChallengeState.OPTED_OUT,
            status=turn.status(challenge),
            cause="cardholder_opted_out",
            answer="stop",
            now_ms=turn.now_ms,
        )
    return turn.outcome(Result.OPTED_OUT, open_challenges[0] if open_challenges else None), changes


def _start(turn: Turn) -> Verdict:
    """Clear the opt-out of the number."""
    phone = turn.text.phone
    if turn.store.opted_out_since(phone) is None:
        return turn.outcome(Result.UNMATCHED), []
    return turn.outcome(Result.OPTED_IN), [PutOptOut(phone, None)]
