"""End the questions that nobody answered in time: their payments go where the rules say, and the next is asked."""

from cardwatch.domain.challenge import OPEN
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.ports import Store
from cardwatch.services.ask_cardholder import ask_next, expire
from cardwatch.services.reach import Sender

_ATTEMPTS = 3


def expire_challenges(*, store: Store, sender: Sender, now_ms: int, token: str, limit: int = 100) -> tuple[str, ...]:
    """End up to `limit` challenges whose life is over; returns the ids of those it ended.

    One that keeps changing meanwhile is left to the next sweep; a reply checks the expiry itself.
    """
    due = store.expired_challenges(now_ms=now_ms, limit=limit)
    return tuple(
        challenge.challenge_id
        for challenge in due
        if _expire(challenge.challenge_id, store=store, sender=sender, now_ms=now_ms, token=token)
    )


def _expire(challenge_id: str, *, store: Store, sender: Sender, now_ms: int, token: str) -> bool:
    for _ in range(_ATTEMPTS):
        challenge = store.challenge(challenge_id)
        if challenge is None or challenge.state not in OPEN or challenge.expires_at_ms > now_ms:
            return False
        try:
            record = store.transaction(challenge.transaction_id)
        except StoreCorrupt:
            return False  # its payment cannot be read, which must not keep the others from expiring
        status = record.status if record else None
        changes = [
            *expire(challenge, status=status, now_ms=now_ms),
            *ask_next(
                store=store, phone=challenge.phone, closing={challenge_id}, sender=sender, now_ms=now_ms, token=token
            ),
        ]
        if store.apply(changes) is None:
            return True
    return False
