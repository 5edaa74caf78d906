"""What a cardholder's text does: everything that follows from it, in one write.

Only a clear YES from the right phone, in time, with the code if the question carries one, releases a payment. NO wins
over YES and needs no code; whatever is unclear, late or changed goes to a person.
"""

from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.changes import AddMessage, Change, MoveTransaction, PutAccount, PutChallenge, successor
from cardwatch.domain.errors import Contended
from cardwatch.domain.label import LabelValue
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.provider_post import InboundText
from cardwatch.domain.question import TextKind
from cardwatch.domain.reply import Meaning, understand
from cardwatch.domain.times import HOUR_MS
from cardwatch.domain.transaction import Status
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import Sender, cancel, close
from cardwatch.services.reply_turn import ReplyOutcome, Result, Turn, Verdict
from cardwatch.services.track_delivery import opt_out

CHANGE_WINDOW_MS = HOUR_MS
"""How long after a YES a NO takes it back."""

_ATTEMPTS = 5
_BODY_LENGTH_MAX = 1_600
_SILENT = frozenset({ChallengeState.OPTED_OUT})
"""States of a challenge in which its holder is not answered any more."""


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
    reply = understand(text.body)
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
        channel=turn.sender.channel,
        phone=turn.text.phone,
        own_number=turn.text.own_number,
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


# YES


def _yes(turn: Turn) -> Verdict:
    """Find what a YES is about; without the code it needs it is about nothing yet."""
    standing = turn.answerable()
    past = turn.past()
    if turn.reply.code is not None:
        named = [c for c in [*turn.standing(), *past] if c.code == turn.reply.code]
        if named:
            return _yes_to(turn, named[0])
    elif not standing and past:
        return _yes_to(turn, past[0])
    elif len(standing) == 1 and (standing[0].code is None or turn.is_over(standing[0])):
        return _yes_to(turn, standing[0])
    if not standing:
        return turn.outcome(Result.UNMATCHED), []
    if standing[0].code is None:
        return _unclear(turn)
    return turn.outcome(Result.CODE_NEEDED, standing[0]), turn.ack(standing[0], TextKind.CODE_NEEDED)


def _yes_to(turn: Turn, challenge: Challenge) -> Verdict:
    match challenge.state:
        case ChallengeState.ASKED if turn.is_over(challenge):
            return _late_to_standing(turn, challenge)
        case ChallengeState.ASKED if turn.is_unasked(challenge):
            return turn.outcome(Result.UNMATCHED), []
        case ChallengeState.ASKED:
            return _confirm(turn, challenge)
        case ChallengeState.CONFIRMED:
            return turn.outcome(Result.REPEATED, challenge), []
        case ChallengeState.DENIED:
            return _yes_after_no(turn, challenge)
        case _:
            return _late_to_closed(turn, challenge)


def _confirm(turn: Turn, challenge: Challenge) -> Verdict:
    """Release the payment, if the phone is still its holder's and nobody settled it meanwhile."""
    account, status = turn.store.account(challenge.user_id), turn.status(challenge)
    if account is None or account.phone_number != turn.text.phone:
        changes = close(challenge, ChallengeState.CANCELLED, status=status, cause="phone_changed")
        return turn.outcome(Result.PHONE_CHANGED, challenge), [*changes, *turn.ask_next([challenge])]
    called_fraud = turn.is_called_fraud(challenge)
    changes = close(
        challenge,
        ChallengeState.CONFIRMED,
        status=status,
        cause="confirmed_against_label" if called_fraud else "cardholder_confirmed",
        to=Status.IN_REVIEW if called_fraud else Status.APPROVED,
        answer="yes",
        now_ms=turn.now_ms,
    )
    if status is not Status.CHALLENGED:
        return turn.outcome(Result.REPEATED, challenge), [*changes, *turn.ask_next([challenge])]
    if called_fraud:
        return turn.outcome(Result.REOPENED, challenge), [*changes, *turn.ask_next([challenge])]
    changes += turn.label(challenge, LabelValue.GENUINE)
    changes += turn.ack(challenge, TextKind.CONFIRMED)
    return turn.outcome(Result.CONFIRMED, challenge), [*changes, *turn.ask_next([challenge])]


def _yes_after_no(turn: Turn, challenge: Challenge) -> Verdict:
    """Hand a declined payment to an analyst, unless one has already spoken; nothing is released."""
    record = turn.record(challenge)
    judged = record is not None and record.label is not None and record.label.is_analysts
    if record is None or record.status is not Status.DECLINED or judged:
        return turn.outcome(Result.REPEATED, challenge), []
    move = MoveTransaction(challenge.transaction_id, Status.DECLINED, Status.IN_REVIEW, "cardholder_changed_mind")
    return turn.outcome(Result.REOPENED, challenge), [move, *turn.ack(challenge, TextKind.REVIEW)]


# NO


def _no(turn: Turn) -> Verdict:
    """Deny what a NO is about: the question it names, else all that stand, else what was settled last."""
    standing, past = turn.standing(), turn.past()
    named = [c for c in [*standing, *past] if turn.reply.code is not None and c.code == turn.reply.code]
    if named and named[0].state is not ChallengeState.ASKED:
        return _no_to_closed(turn, named[0])
    targets = named or turn.answerable()
    if targets:
        return _deny(turn, targets)
    confirmed = [c for c in past if c.state is ChallengeState.CONFIRMED and _can_change(turn, c)]
    if confirmed:
        return _no_after_yes(turn, confirmed)
    return _no_to_closed(turn, past[0]) if past else (turn.outcome(Result.UNMATCHED), [])


def _deny(turn: Turn, targets: list[Challenge]) -> Verdict:
    """Decline the payments, hold the accounts, take back what still waits to be asked of them, ask the next."""
    changes: list[Change] = []
    for challenge in targets:
        over, status = turn.is_over(challenge), turn.status(challenge)
        changes += close(
            challenge,
            ChallengeState.EXPIRED if over else ChallengeState.DENIED,
            status=status,
            cause="challenge_expired" if over else "cardholder_denied",
            to=Status.IN_REVIEW if over else Status.DECLINED,
            answer="no",
            now_ms=turn.now_ms,
        )
        changes += [] if over else turn.label(challenge, LabelValue.FRAUD)
    live = [c for c in targets if not turn.is_over(c)]
    first = (live or targets)[0]
    held = {c.user_id for c in targets}
    changes += turn.ack(first, TextKind.DENIED if live else TextKind.EXPIRED)
    changes += _hold(turn, held, closed=targets)
    return turn.outcome(Result.DENIED if live else Result.LATE, first), changes


def _no_after_yes(turn: Turn, confirmed: list[Challenge]) -> Verdict:
    """Take a YES back inside the change window: the payment goes to review and the account is held."""
    changes: list[Change] = []
    for challenge in confirmed:
        changes += turn.note_answer(challenge, state=ChallengeState.DENIED)
        changes += turn.label(challenge, LabelValue.FRAUD)
        if turn.status(challenge) is Status.APPROVED:
            changes.append(
                MoveTransaction(challenge.transaction_id, Status.APPROVED, Status.IN_REVIEW, "cardholder_changed_mind")
            )
    changes += turn.ack(confirmed[0], TextKind.HELD)
    changes += _hold(turn, {c.user_id for c in confirmed}, closed=confirmed)
    return turn.outcome(Result.HELD_AGAIN, confirmed[0]), changes


def _no_to_closed(turn: Turn, challenge: Challenge) -> Verdict:
    match challenge.state:
        case ChallengeState.CONFIRMED if _can_change(turn, challenge):
            return _no_after_yes(turn, [challenge])
        case ChallengeState.CONFIRMED:
            return turn.outcome(Result.TOO_LATE_TO_CHANGE, challenge), turn.ack(challenge, TextKind.ANSWERED)
        case ChallengeState.DENIED:
            return turn.outcome(Result.REPEATED, challenge), []
        case _:
            return _late_to_closed(turn, challenge)


def _can_change(turn: Turn, challenge: Challenge) -> bool:
    return challenge.answered_at_ms is not None and turn.now_ms <= challenge.answered_at_ms + turn.change_window_ms


def _hold(turn: Turn, user_ids: set[str], *, closed: list[Challenge]) -> list[Change]:
    """Hold accounts, take back what was not yet asked of them, and ask the phone's next question."""
    cancelled = [
        challenge
        for user_id in sorted(user_ids)
        for challenge in turn.store.open_challenges_of(user_id)
        if challenge not in closed and turn.is_unasked(challenge)
    ]
    changes = turn.hold(user_ids)
    for challenge in cancelled:
        changes += cancel(challenge, status=turn.status(challenge))
    return [*changes, *turn.ask_next([*closed, *cancelled], unreachable=user_ids)]


# Late, unclear, keywords


def _late_to_standing(turn: Turn, challenge: Challenge) -> Verdict:
    """End a question whose life is over but that no sweep has met yet; the answer is noted and releases nothing."""
    changes = close(
        challenge,
        ChallengeState.EXPIRED,
        status=turn.status(challenge),
        cause="challenge_expired",
        answer=turn.reply.meaning.value,
        now_ms=turn.now_ms,
    )
    changes += turn.ack(challenge, TextKind.EXPIRED)
    return turn.outcome(Result.LATE, challenge), [*changes, *turn.ask_next([challenge])]


def _late_to_closed(turn: Turn, challenge: Challenge) -> Verdict:
    """Note an answer to a question that ended without one; a NO holds the account and takes an approval back."""
    is_no = turn.reply.meaning is Meaning.NO
    if challenge.answer == turn.reply.meaning.value or (challenge.answer in {"no", "stop"} and not is_no):
        return turn.outcome(Result.REPEATED, challenge), []
    changes = turn.note_answer(challenge)
    if is_no:
        changes += _hold(turn, {challenge.user_id}, closed=[challenge])
        if turn.status(challenge) is Status.APPROVED:
            changes.append(
                MoveTransaction(challenge.transaction_id, Status.APPROVED, Status.IN_REVIEW, "cardholder_denied_late")
            )
    if challenge.state not in _SILENT:
        changes += turn.ack(challenge, TextKind.EXPIRED)
    return turn.outcome(Result.LATE, challenge), changes


def _unclear(turn: Turn) -> Verdict:
    """Ask once more, then leave it to an analyst; what came late or about nothing is not answered at all."""
    standing = turn.answerable()
    if not standing:
        return turn.outcome(Result.UNMATCHED), []
    challenge = standing[0]
    if turn.is_over(challenge):
        ended = close(challenge, ChallengeState.EXPIRED, status=turn.status(challenge), cause="challenge_expired")
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
    asked_ever = turn.store.recent_challenges(phone, asked_since_ms=0)
    users = sorted({c.user_id for c in [*open_challenges, *asked_ever]})
    if not users:
        return turn.outcome(Result.UNMATCHED), []
    changes: list[Change] = []
    for challenge in open_challenges:
        changes += close(
            challenge,
            ChallengeState.OPTED_OUT,
            status=turn.status(challenge),
            cause="cardholder_opted_out",
            answer="stop",
            now_ms=turn.now_ms,
        )
    for user_id in users:
        changes += opt_out(user_id, phone=phone, store=turn.store, now_ms=turn.now_ms)
    return turn.outcome(Result.OPTED_OUT, open_challenges[0] if open_challenges else None), changes


def _start(turn: Turn) -> Verdict:
    """Clear the opt-out of the accounts that were asked on this phone."""
    phone = turn.text.phone
    users = sorted({c.user_id for c in turn.store.recent_challenges(phone, asked_since_ms=0)})
    accounts = [account for user_id in users if (account := turn.store.account(user_id)) is not None]
    changes: list[Change] = [
        PutAccount(successor(account, opted_out_at_ms=None))
        for account in accounts
        if account.phone_number == phone and account.opted_out_at_ms is not None
    ]
    return turn.outcome(Result.OPTED_IN if changes else Result.UNMATCHED), changes
