"""Take up again what could not be handled: a payment whose scoring failed gets its effect on feature state after all.

Its decision stays: it went to review, once and for good. What is mended is the history that later payments are
compared with. A letter that fails again stays where it is.
"""

from enum import StrEnum

from cardwatch.domain.changes import Change, RemoveDeadLetter
from cardwatch.features.engine import FeatureEngine
from cardwatch.ports import DeadLetter, Store
from cardwatch.services.feature_state import state_after

_ATTEMPTS = 3


class Replayed(StrEnum):
    """What came of a replay."""

    DONE = "done"
    GONE = "gone"
    """Its payment is not there any more; the letter was removed."""
    RACED = "raced"
    """Someone else took it up, or its state kept changing."""


def replay_dead_letter(letter: DeadLetter, *, store: Store, engine: FeatureEngine) -> Replayed:
    """Replay one letter and remove it in the same write."""
    for _ in range(_ATTEMPTS):
        record = store.transaction(letter.key)
        changes: list[Change] = [RemoveDeadLetter(letter.dead_letter_id)]
        if record is not None:
            account = store.account(record.transaction.user_id)
            changes += state_after(record.transaction, account, store=store, engine=engine)
        if store.apply(changes) is None:
            return Replayed.GONE if record is None else Replayed.DONE
    return Replayed.RACED
