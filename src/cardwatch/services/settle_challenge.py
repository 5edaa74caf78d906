"""What an answer does to the question it is about, however it was given: everything that follows, as one list.

A YES in time releases, unless somebody has called the payment fraud; a NO wins over it and holds the account; whatever
is late or changed goes to a person.
"""

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.changes import Change, MoveTransaction
from cardwatch.domain.label import LabelValue
from cardwatch.domain.question import TextKind
from cardwatch.domain.reply import Meaning
from cardwatch.domain.transaction import Status
from cardwatch.services.ask_cardholder import cancel, close, expire
from cardwatch.services.reach import address_of
from cardwatch.services.reply_turn import Result, Turn, Verdict

_SILENT = frozenset({ChallengeState.OPTED_OUT})
"""States of a challenge in which its holder is not answered any more."""


def yes_to(turn: Turn, challenge: Challenge) -> Verdict:
    """Return what a YES to a challenge does, wherever that stands."""
    match challenge.state:
        case ChallengeState.ASKED if turn.is_over(challenge):
            return _late_to_standing(turn, challenge)
        case ChallengeState.ASKED if not turn.may_have_been_read(challenge):
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
    """Release the payment, if the answer's address is still its holder's and nobody settled it meanwhile.

    What an analyst or a chargeback called fraud goes to review instead, and so does what was asked of an account that a
    NO to another question holds since: NO wins over YES.
    """
    account, status = turn.store.account(challenge.user_id), turn.status(challenge)
    if account is None or address_of(account, turn.channel) != turn.text.phone:
        changes = close(challenge, ChallengeState.CANCELLED, status=status, cause="phone_changed")
        return turn.outcome(Result.PHONE_CHANGED, challenge), [*changes, *turn.ask_next([challenge])]
    doubted = _why_doubted(turn, challenge, account)
    changes = close(
        challenge,
        ChallengeState.CONFIRMED,
        status=status,
        cause=doubted or "cardholder_confirmed",
        to=Status.IN_REVIEW if doubted else Status.APPROVED,
        answer="yes",
        now_ms=turn.now_ms,
    )
    if status is not Status.CHALLENGED:
        return turn.outcome(Result.REPEATED, challenge), [*changes, *turn.ask_next([challenge])]
    if doubted:
        return turn.outcome(Result.REOPENED, challenge), [*changes, *turn.ask_next([challenge])]
    changes += turn.label(challenge, LabelValue.GENUINE)
    changes += turn.ack(challenge, TextKind.CONFIRMED)
    return turn.outcome(Result.CONFIRMED, challenge), [*changes, *turn.ask_next([challenge])]


def _why_doubted(turn: Turn, challenge: Challenge, account: Account) -> str | None:
    """Return why a clear YES releases nothing, as the cause for the log."""
    if turn.is_called_fraud(challenge):
        return "confirmed_against_label"
    return "confirmed_while_held" if account.held_since_ms is not None else None


def _yes_after_no(turn: Turn, challenge: Challenge) -> Verdict:
    """Hand a declined payment to an analyst, unless one has already spoken; nothing is released."""
    record = turn.record(challenge)
    judged = record is not None and record.label is not None and record.label.is_analysts
    if record is None or record.status is not Status.DECLINED or judged:
        return turn.outcome(Result.REPEATED, challenge), []
    move = MoveTransaction(challenge.transaction_id, Status.DECLINED, Status.IN_REVIEW, "cardholder_changed_mind")
    return turn.outcome(Result.REOPENED, challenge), [move, *turn.ack(challenge, TextKind.REVIEW)]


def deny(turn: Turn, targets: list[Challenge]) -> Verdict:
    """Decline the payments, hold the accounts, take back what still waits to be asked of them, ask the next."""
    changes: list[Change] = []
    for challenge in targets:
        over, status = turn.is_over(challenge), turn.status(challenge)
        if over:
            changes += expire(challenge, status=status, answer="no", now_ms=turn.now_ms)
            continue
        changes += close(
            challenge,
            ChallengeState.DENIED,
            status=status,
            cause="cardholder_denied",
            to=Status.DECLINED,
            answer="no",
            now_ms=turn.now_ms,
        )
        changes += turn.label(challenge, LabelValue.FRAUD)
    live = [c for c in targets if not turn.is_over(c)]
    first = (live or targets)[0]
    held = {c.user_id for c in targets}
    changes += turn.ack(first, TextKind.DENIED if live else TextKind.EXPIRED)
    changes += _hold(turn, held, closed=targets)
    return turn.outcome(Result.DENIED if live else Result.LATE, first), changes


def no_after_yes(turn: Turn, confirmed: list[Challenge]) -> Verdict:
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


def no_to_closed(turn: Turn, challenge: Challenge) -> Verdict:
    """Return what a NO to a settled challenge does."""
    match challenge.state:
        case ChallengeState.CONFIRMED if can_change(turn, challenge):
            return no_after_yes(turn, [challenge])
        case ChallengeState.CONFIRMED:
            return turn.outcome(Result.TOO_LATE_TO_CHANGE, challenge), turn.ack(challenge, TextKind.ANSWERED)
        case ChallengeState.DENIED:
            return turn.outcome(Result.REPEATED, challenge), []
        case _:
            return _late_to_closed(turn, challenge)


def can_change(turn: Turn, challenge: Challenge) -> bool:
    """Say whether a YES can still be taken back."""
    return challenge.answered_at_ms is not None and turn.now_ms <= challenge.answered_at_ms + turn.change_window_ms


def _hold(turn: Turn, user_ids: set[str], *, closed: list[Challenge]) -> list[Change]:
    """Hold accounts, take back what was not yet asked of them, and ask the next question of every phone set free.

    What is taken back may have stood on another phone than what was answered, which by a link has none.
    """
    cancelled = [
        challenge
        for user_id in sorted(user_ids)
        for challenge in turn.store.open_challenges_of(user_id)
        if challenge not in closed and turn.is_unasked(challenge)
    ]
    changes = turn.hold(user_ids)
    for challenge in cancelled:
        changes += cancel(challenge, status=turn.status(challenge))
    ended = [*closed, *cancelled]
    for phone in dict.fromkeys(challenge.phone for challenge in ended):
        changes += turn.ask_next([c for c in ended if c.phone == phone], unreachable=user_ids)
    return changes


def _late_to_standing(turn: Turn, challenge: Challenge) -> Verdict:
    """End a question whose life is over but that no sweep has met yet; the answer is noted and releases nothing."""
    status, meaning = turn.status(challenge), turn.reply.meaning.value
    changes = expire(challenge, status=status, answer=meaning, now_ms=turn.now_ms)
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
