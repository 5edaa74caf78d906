"""Record what the provider reports about a text; a question that cannot arrive sends its payment to review.

Reports are best-effort: they come twice, out of order, and before the call that sent the text has returned. A text
never leaves a final state, and never goes back.
"""

from enum import StrEnum

from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import Change, PutAccount, PutChallenge, PutMessage, successor
from cardwatch.domain.errors import Contended
from cardwatch.domain.message import TO_DO, Message, MessageKind, MessageState
from cardwatch.domain.provider_post import DeliveryReport
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import Sender, ask_next, close

_ATTEMPTS = 5

_STEP = {MessageState.ACCEPTED: 1, MessageState.SENT: 2}
_FINAL = frozenset({MessageState.DELIVERED, MessageState.UNDELIVERED, MessageState.FAILED, MessageState.EXPIRED})
_NOT_DELIVERED = _FINAL - {MessageState.DELIVERED}


class Tracked(StrEnum):
    """What came of a report."""

    RECORDED = "recorded"
    SAME = "same"
    """Nothing new: a repetition, or a step that the text had passed."""
    STALE = "stale"
    """The text is in another final state, or the report is about another attempt."""
    UNKNOWN_MESSAGE = "unknown_message"


def track_delivery(report: DeliveryReport, *, store: Store, sender: Sender, now_ms: int, token: str) -> Tracked:
    """Record a report, with all that follows from it, in one write."""
    for _ in range(_ATTEMPTS):
        message = store.message(report.message_id)
        if message is None:
            return Tracked.UNKNOWN_MESSAGE
        skipped = _skip(message, report)
        if skipped is not None:
            return skipped
        if store.apply(_changes(message, report, store=store, sender=sender, now_ms=now_ms, token=token)) is None:
            return Tracked.RECORDED
    raise Contended("the text kept changing while a report about it was recorded")


def not_delivered(
    message: Message, *, store: Store, sender: Sender, now_ms: int, token: str, opted_out: bool, expired: bool = False
) -> list[Change]:
    """Return what follows when a text cannot arrive: its question ends, its payment goes to review, the next is asked.

    `opted_out` says that the number refuses our texts, which is recorded on its account.
    """
    challenge = store.challenge(message.challenge_id or "")
    if challenge is None:
        return []
    changes = opt_out(challenge.user_id, phone=challenge.phone, store=store, now_ms=now_ms) if opted_out else []
    if message.kind is not MessageKind.QUESTION or challenge.state is not ChallengeState.ASKED:
        return changes
    record = store.transaction(challenge.transaction_id)
    end = ChallengeState.EXPIRED if expired else ChallengeState.UNDELIVERABLE
    changes += close(challenge, end, status=record.status if record else None, cause=f"challenge_{end}")
    return [
        *changes,
        *ask_next(
            store=store,
            phone=challenge.phone,
            closing={challenge.challenge_id},
            unreachable={challenge.user_id} if opted_out else (),
            sender=sender,
            now_ms=now_ms,
            token=token,
        ),
    ]


def opt_out(user_id: str, *, phone: str, store: Store, now_ms: int) -> list[Change]:
    """Return the change that records an opt-out on the account that has this number now, if that is new."""
    account = store.account(user_id)
    if account is None or account.phone_number != phone or account.opted_out_at_ms is not None:
        return []
    return [PutAccount(successor(account, opted_out_at_ms=now_ms))]


def question_sent(message: Message, *, store: Store, now_ms: int) -> list[Change]:
    """Return the change that notes on a challenge when its question went out, if that is new."""
    challenge = store.challenge(message.challenge_id or "") if message.kind is MessageKind.QUESTION else None
    if challenge is None or challenge.sent_at_ms is not None:
        return []
    return [PutChallenge(successor(challenge, sent_at_ms=now_ms))]


def _skip(message: Message, report: DeliveryReport) -> Tracked | None:
    """Return why a report changes nothing, None if it does."""
    if message.provider_sid not in {None, report.provider_sid}:
        return Tracked.STALE
    if message.state in _FINAL:
        return Tracked.SAME if message.state is report.state else Tracked.STALE
    if report.state not in _FINAL and _step(report.state) <= _step(message.state):
        return Tracked.SAME
    return None


def _step(state: MessageState) -> int:
    return 0 if state in TO_DO else _STEP.get(state, 0)


def _changes(
    message: Message, report: DeliveryReport, *, store: Store, sender: Sender, now_ms: int, token: str
) -> list[Change]:
    reported = successor(
        message,
        state=report.state,
        provider_sid=report.provider_sid,
        sent_at_ms=message.sent_at_ms or now_ms,
        error=report.error or message.error,
    )
    if report.state not in _NOT_DELIVERED:
        return [PutMessage(reported), *question_sent(message, store=store, now_ms=now_ms)]
    consequences = not_delivered(
        message,
        store=store,
        sender=sender,
        now_ms=now_ms,
        token=token,
        opted_out=report.opted_out,
        expired=report.state is MessageState.EXPIRED,
    )
    return [PutMessage(reported), *consequences]
