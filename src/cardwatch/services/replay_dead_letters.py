"""Take up again what could not be handled: a payment whose scoring failed gets its effect on feature state after all.

Its decision stays: it went to review, once and for good. What is mended is the history that later payments are
compared with; labels of such a payment are not counted in it. A label that could not be counted is counted now.
A message that its receiver never took is sent again, and what could not be told is told. A payment whose question was
lost goes to review once it can be read. A letter that fails again
stays where it is.
"""

from collections.abc import Sequence
from enum import StrEnum

from cardwatch.domain.changes import Change, PutMessage, RemoveDeadLetter, successor
from cardwatch.domain.errors import CardwatchError
from cardwatch.domain.label import fraud_change
from cardwatch.domain.message import MessageKind, MessageState
from cardwatch.features.engine import FeatureEngine
from cardwatch.ports import DeadLetter, Store
from cardwatch.services.feature_state import state_after
from cardwatch.services.label_effect import label_effect
from cardwatch.services.reach import Sender
from cardwatch.services.send_messages import DEAD_LETTER_CONSUMER as OUTBOX_CONSUMER
from cardwatch.services.set_aside_challenge import CONSUMER as CHALLENGE_CONSUMER
from cardwatch.services.set_aside_challenge import to_review
from cardwatch.services.tell_payment_system import CALLBACK_CHANNEL, CALLBACK_LIFE_MS, read_told, tell
from cardwatch.services.tell_payment_system import CONSUMER as CALLBACK_CONSUMER

_ATTEMPTS = 3


class Replayed(StrEnum):
    """What came of a replay."""

    DONE = "done"
    GONE = "gone"
    """Its payment is not there any more; the letter was removed."""
    NOTHING = "nothing to replay"
    """Nothing follows from it any more; the letter was removed."""
    RACED = "raced"
    """Someone else took it up, or its state kept changing."""


LABEL_PAYLOAD = "label "
"""How the payload of a label's letter begins; what the change log said of the label follows."""


def replay_dead_letter(
    letter: DeadLetter, *, store: Store, engine: FeatureEngine, sender: Sender, now_ms: int
) -> Replayed:
    """Replay one letter and remove it in the same write; raises CardwatchError when it fails again."""
    for _ in range(_ATTEMPTS):
        outcome, effect = _effect(letter, store=store, engine=engine, sender=sender, now_ms=now_ms)
        if store.apply([RemoveDeadLetter(letter.dead_letter_id), *effect]) is None:
            return outcome
    return Replayed.RACED


def _effect(
    letter: DeadLetter, *, store: Store, engine: FeatureEngine, sender: Sender, now_ms: int
) -> tuple[Replayed, Sequence[Change]]:
    if letter.consumer == OUTBOX_CONSUMER:
        return _send_again(letter, store, sender, now_ms)
    record = store.transaction(letter.key)
    if record is None:
        return Replayed.GONE, ()
    if letter.consumer == CALLBACK_CONSUMER:
        told = tell(read_told(letter), store=store, sender=sender, now_ms=now_ms)
        return (Replayed.DONE if told else Replayed.NOTHING), told
    if letter.consumer == CHALLENGE_CONSUMER:
        moved = to_review(record)
        return (Replayed.DONE if moved else Replayed.NOTHING), moved
    if not letter.payload.startswith(LABEL_PAYLOAD):
        account = store.account(record.transaction.user_id)
        return Replayed.DONE, state_after(record.transaction, account, store=store, engine=engine)
    change = fraud_change(letter.payload.removeprefix(LABEL_PAYLOAD))
    effect = label_effect(letter.key, change, store=store, engine=engine) if change else ()
    return (Replayed.DONE if effect else Replayed.NOTHING), effect


def _send_again(letter: DeadLetter, store: Store, sender: Sender, now_ms: int) -> tuple[Replayed, Sequence[Change]]:
    """Give a callback a new life, to the address configured now; a question that is over is not asked again.

    Raises CardwatchError where callbacks are not set up. One with an empty body tells nothing and is not sent.
    """
    message = store.message(letter.payload)
    if message is None:
        return Replayed.GONE, ()
    ended = message.state in {MessageState.FAILED, MessageState.EXPIRED}
    if message.kind is not MessageKind.CALLBACK or not ended or not message.body:
        return Replayed.NOTHING, ()
    if not sender.has(CALLBACK_CHANNEL):
        raise CardwatchError("CARDWATCH_CALLBACK_URL is not set, so there is nowhere to send it")
    again = successor(
        message,
        address=sender.own_address(CALLBACK_CHANNEL),
        state=MessageState.QUEUED,
        due_at_ms=now_ms,
        expires_at_ms=now_ms + CALLBACK_LIFE_MS,
        attempts=0,
        error=None,
    )
    return Replayed.DONE, [PutMessage(again)]
