"""Take a challenge that cannot be read out of the way of all others, and let its payment and its phone go on."""

from cardwatch.domain.challenge import OPEN, payment_asked_about
from cardwatch.domain.changes import AddDeadLetter, Change, MoveTransaction, SetAsideChallenge
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import ask_next
from cardwatch.services.reach import Sender

CONSUMER = "challenge"
"""Of the dead letters about challenges; their key is the payment's id, their payload the challenge's."""

_ATTEMPTS = 3


def set_aside_challenge(
    challenge_id: str, cause: str, *, store: Store, sender: Sender, now_ms: int, token: str
) -> None:
    """Set an unreadable challenge aside with a dead letter; its payment goes to review, its phone's next is asked.

    A payment that cannot be read either stays where it is until its dead letter is replayed.
    """
    letter = dead_letter(challenge_id, cause, now_ms)
    if store.apply([SetAsideChallenge(challenge_id, now_ms), letter]) is not None:
        return
    for _ in range(_ATTEMPTS):
        try:
            record = store.transaction(letter.key)
        except StoreCorrupt:
            return
        if record is None:
            return
        following = _ask_next(record, store=store, sender=sender, now_ms=now_ms, token=token)
        if store.apply([*to_review(record), *following]) is None:
            return


def dead_letter(challenge_id: str, cause: str, now_ms: int) -> AddDeadLetter:
    """Return the change that tells an operator of a challenge or a payment that cannot be read."""
    return AddDeadLetter(CONSUMER, payment_asked_about(challenge_id), cause, challenge_id, now_ms)


def to_review(record: TransactionRecord) -> list[Change]:
    """Return the change that sends a payment to review whose question is lost or over, none for any other."""
    stands = record.challenge is not None and record.challenge.state in OPEN
    if record.status is not Status.CHALLENGED or stands:
        return []
    transaction_id = record.transaction.transaction_id
    return [MoveTransaction(transaction_id, Status.CHALLENGED, Status.IN_REVIEW, "challenge_unreadable")]


def _ask_next(
    record: TransactionRecord, *, store: Store, sender: Sender, now_ms: int, token: str
) -> tuple[Change, ...]:
    """Return the changes that ask the next question of the account's phone, where everything about it can be read."""
    try:
        account = store.account(record.transaction.user_id)
        phone = account.phone_number if account else None
        return ask_next(store=store, phone=phone or "", closing=(), sender=sender, now_ms=now_ms, token=token)
    except StoreCorrupt:
        return ()
