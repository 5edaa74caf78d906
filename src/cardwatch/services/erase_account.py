"""Erase an account; nobody waits for the questions that go with it."""

from cardwatch.domain.changes import Change, EraseAccount
from cardwatch.domain.errors import Contended
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import ask_next, cancel
from cardwatch.services.reach import Sender

_ATTEMPTS = 5


def erase_account(user_id: str, *, store: Store, sender: Sender, now_ms: int, token: str) -> bool:
    """Erase an account's personal data; False if there is no such account.

    In the same write its open questions are taken back, their payments go to review, and the next question of every
    phone that this sets free is asked. `token` is fresh randomness for its code and its links. Raises Contended if
    what is to be written kept changing.
    """
    for _ in range(_ATTEMPTS):
        if store.account(user_id) is None:
            return False
        if store.apply(_changes(user_id, store=store, sender=sender, now_ms=now_ms, token=token)) is None:
            return True
    raise Contended("the account's questions kept changing while it was erased")


def _changes(user_id: str, *, store: Store, sender: Sender, now_ms: int, token: str) -> list[Change]:
    open_challenges = store.open_challenges_of(user_id)
    closing = {challenge.challenge_id for challenge in open_challenges}
    changes: list[Change] = []
    for challenge in open_challenges:
        record = store.transaction(challenge.transaction_id)
        changes += cancel(challenge, status=record.status if record else None)
    changes.append(EraseAccount(user_id, now_ms))
    for phone in dict.fromkeys(challenge.phone for challenge in open_challenges):
        changes += ask_next(store=store, phone=phone, closing=closing, sender=sender, now_ms=now_ms, token=token)
    return changes
