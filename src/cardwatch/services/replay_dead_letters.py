"""Take up again what could not be handled: a payment whose scoring failed gets its effect on feature state after all.

Its decision stays: it went to review, once and for good. What is mended is the history that later payments are
compared with; labels of such a payment are not counted in it. A label that could not be counted is counted now.
A letter that fails again stays where it is.
"""

from collections.abc import Sequence
from enum import StrEnum

from cardwatch.domain.changes import Change, RemoveDeadLetter
from cardwatch.domain.label import fraud_change
from cardwatch.features.engine import FeatureEngine
from cardwatch.ports import DeadLetter, Store
from cardwatch.services.feature_state import state_after
from cardwatch.services.label_effect import label_effect

_ATTEMPTS = 3


class Replayed(StrEnum):
    """What came of a replay."""

    DONE = "done"
    GONE = "gone"
    """Its payment is not there any more; the letter was removed."""
    NOTHING = "nothing to replay"
    """No feature state counts its label; the letter was removed."""
    RACED = "raced"
    """Someone else took it up, or its state kept changing."""


LABEL_PAYLOAD = "label "
"""How the payload of a label's letter begins; what the change log said of the label follows."""


def replay_dead_letter(letter: DeadLetter, *, store: Store, engine: FeatureEngine) -> Replayed:
    """Replay one letter and remove it in the same write; raises CardwatchError when it fails again."""
    for _ in range(_ATTEMPTS):
        outcome, effect = _effect(letter, store, engine)
        if store.apply([RemoveDeadLetter(letter.dead_letter_id), *effect]) is None:
            return outcome
    return Replayed.RACED


def _effect(letter: DeadLetter, store: Store, engine: FeatureEngine) -> tuple[Replayed, Sequence[Change]]:
    record = store.transaction(letter.key)
    if record is None:
        return Replayed.GONE, ()
    if not letter.payload.startswith(LABEL_PAYLOAD):
        account = store.account(record.transaction.user_id)
        return Replayed.DONE, state_after(record.transaction, account, store=store, engine=engine)
    change = fraud_change(letter.payload.removeprefix(LABEL_PAYLOAD))
    effect = label_effect(letter.key, change, store=store, engine=engine) if change else ()
    return (Replayed.DONE if effect else Replayed.NOTHING), effect
