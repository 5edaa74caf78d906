"""End the questions that nobody answered in time: their payments go where the rules say, and the next is asked.

What cannot be read holds up nothing: such a challenge is set aside, and one about such a payment is closed, each with
a dead letter.
"""

from cardwatch.domain.challenge import OPEN, Challenge
from cardwatch.domain.changes import Change
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import ask_next, expire
from cardwatch.services.reach import Sender
from cardwatch.services.set_aside_challenge import dead_letter, set_aside_challenge

_ATTEMPTS = 3


def expire_challenges(*, store: Store, sender: Sender, now_ms: int, token: str, limit: int = 100) -> tuple[str, ...]:
    """End up to `limit` challenges whose life is over; returns the ids of those it ended.

    One that keeps changing meanwhile is left to the next sweep; a reply checks the expiry itself.
    """
    return tuple(
        challenge_id
        for challenge_id in store.expired_challenge_ids(now_ms=now_ms, limit=limit)
        if _expire(challenge_id, store=store, sender=sender, now_ms=now_ms, token=token)
    )


def _expire(challenge_id: str, *, store: Store, sender: Sender, now_ms: int, token: str) -> bool:
    for _ in range(_ATTEMPTS):
        try:
            challenge = store.challenge(challenge_id)
        except StoreCorrupt as error:
            set_aside_challenge(challenge_id, str(error), store=store, sender=sender, now_ms=now_ms, token=token)
            return False
        if challenge is None or challenge.state not in OPEN or challenge.expires_at_ms > now_ms:
            return False
        following = _ask_next(challenge, store=store, sender=sender, now_ms=now_ms, token=token)
        if store.apply([*_ended(challenge, store=store, now_ms=now_ms), *following]) is None:
            return True
    return False


def _ended(challenge: Challenge, *, store: Store, now_ms: int) -> list[Change]:
    try:
        record = store.transaction(challenge.transaction_id)
    except StoreCorrupt as error:
        # Its payment stays where it is: a listing for analysts that met it would fail as a whole.
        return [
            *expire(challenge, status=None, now_ms=now_ms),
            dead_letter(challenge.challenge_id, str(error), now_ms),
        ]
    return expire(challenge, status=record.status if record else None, now_ms=now_ms)


def _ask_next(challenge: Challenge, *, store: Store, sender: Sender, now_ms: int, token: str) -> tuple[Change, ...]:
    """Return the changes that ask the phone's next question; none where something that stands there is unreadable.

    That has its own end, at which the next one is asked.
    """
    closing = {challenge.challenge_id}
    try:
        return ask_next(store=store, phone=challenge.phone, closing=closing, sender=sender, now_ms=now_ms, token=token)
    except StoreCorrupt:
        return ()
