"""Every status is told once, from the log: callbacks to the payment system, alerts to the analysts."""

import json

import msgspec
import pytest

from cardwatch.adapters.clock import SeededRandomness
from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import (
    AddDeadLetter,
    AddTransaction,
    Change,
    DecideTransaction,
    MoveTransaction,
    PutMessage,
    SetCursor,
    successor,
)
from cardwatch.domain.decision import DecidedBy, Outcome
from cardwatch.domain.errors import CardwatchError
from cardwatch.domain.message import Message, MessageState
from cardwatch.domain.transaction import Status
from cardwatch.features.engine import default_engine
from cardwatch.ports import DeadLetter, NotSent, OnUnknown, UnknownSent
from cardwatch.services.alerts import provider_alarm
from cardwatch.services.reach import Sender
from cardwatch.services.replay_dead_letters import Replayed, replay_dead_letter
from cardwatch.services.send_messages import send_due
from cardwatch.services.tell_payment_system import (
    CALLBACK_LIFE_MS,
    CONSUMER,
    FROM_THE_START,
    start_telling,
    tell_payment_system,
)
from tests.builders import NOW_MS, OWN_NUMBER, make_decision, make_transaction
from tests.fakes.channel import ScriptedChannel

URL = "https://payments.example/cardwatch"
SENDER = Sender(institution="Cardwatch", own_number=OWN_NUMBER, others={"callback": URL, "alert": ""})


def challenged_then_declined() -> MemoryStore:
    """Return a store with one payment that was challenged, then declined."""
    store = MemoryStore()
    start_telling(store=store)
    decision = make_decision(outcome=Outcome.CHALLENGE, score=0.91)
    changes: list[Change] = [
        AddTransaction(make_transaction("txn_1")),
        DecideTransaction("txn_1", decision, Status.CHALLENGED),
        MoveTransaction("txn_1", Status.CHALLENGED, Status.DECLINED, "cardholder_denied"),
    ]
    assert store.apply(changes) is None
    return store


def tell(store: MemoryStore, *, limit: int = 100) -> int:
    """Read the log once."""
    return tell_payment_system(store=store, sender=SENDER, now_ms=NOW_MS, limit=limit)


def outbox(store: MemoryStore, channel: str = "callback") -> list[Message]:
    """Return a channel's messages that are due, as they stand."""
    ids = store.due_message_ids(channel=channel, now_ms=NOW_MS * 2, limit=100)
    return [message for message_id in ids if (message := store.message(message_id)) is not None]


def test_every_status_is_one_callback_in_order() -> None:
    """Type, status, cause and position; money as a decimal string; no name, number or card."""
    store = challenged_then_declined()
    assert tell(store) == 3
    first, second = (json.loads(message.body) for message in outbox(store))
    assert first["type"] == "transaction.challenged"
    assert second == {
        "type": "transaction.declined",
        "timestamp": "2026-09-21T14:13:20.000Z",
        "data": {
            "transaction_id": "txn_1",
            "user_id": "user_001",
            "status": "declined",
            "cause": "cardholder_denied",
            "sequence": 3,
            "amount": "21.40",
            "currency": "USD",
            "fraud_score": 0.91,
            "answer": None,
        },
    }
    assert {message.address for message in outbox(store)} == {URL}


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_nothing_is_told_twice(limit: int) -> None:
    """The position moves with the rows; reading again finds nothing."""
    store = challenged_then_declined()
    while tell(store, limit=limit):
        pass
    assert len(outbox(store)) == 2
    assert tell(store) == 0
    assert store.cursor(CONSUMER) == 3


def test_the_past_is_not_told_when_telling_begins() -> None:
    """A system that ran before tells from now on; a new one from its first payment."""
    fresh = MemoryStore()
    start_telling(store=fresh)
    assert fresh.cursor(CONSUMER) == FROM_THE_START
    old = MemoryStore()
    assert old.apply([AddTransaction(make_transaction("txn_0"))]) is None
    start_telling(store=old)
    assert old.cursor(CONSUMER) == 1
    start_telling(store=old)
    assert tell(old) == 0


def test_imported_history_is_not_told() -> None:
    """It was decided elsewhere, long ago."""
    store = MemoryStore()
    decision = make_decision(decided_by=DecidedBy.IMPORT)
    changes: list[Change] = [
        AddTransaction(make_transaction("txn_1")),
        DecideTransaction("txn_1", decision, Status.APPROVED),
    ]
    assert store.apply(changes) is None
    assert tell(store) == 2
    assert outbox(store) == []


def test_a_review_is_one_alert() -> None:
    """With id, amount, score and cause."""
    store = MemoryStore()
    decision = make_decision(outcome=Outcome.REVIEW, score=0.42, detail="no_phone")
    changes: list[Change] = [
        AddTransaction(make_transaction("txn_1")),
        DecideTransaction("txn_1", decision, Status.IN_REVIEW),
    ]
    assert store.apply(changes) is None
    tell(store)
    (alert,) = outbox(store, "alert")
    assert alert.subject == "Cardwatch: a payment waits for review"
    assert alert.body == "Payment txn_1 of $21.40, score 0.42: no_phone."


def test_whoever_is_not_configured_is_not_told() -> None:
    """The position moves all the same, so that the log can be trimmed."""
    store = challenged_then_declined()
    bare = Sender(institution="Cardwatch", own_number=OWN_NUMBER)
    assert tell_payment_system(store=store, sender=bare, now_ms=NOW_MS) == 3
    assert outbox(store) == []


def test_two_readers_of_the_log_tell_once() -> None:
    """The position is a condition of the write."""
    store = challenged_then_declined()
    assert store.apply([SetCursor(CONSUMER, FROM_THE_START, 2)]) is None
    assert tell(store) == 1
    assert [json.loads(message.body)["type"] for message in outbox(store)] == ["transaction.declined"]


def test_a_callback_is_sent_again_until_it_is_taken_or_its_life_ends() -> None:
    """Timeouts and errors alike, since its receiver knows it by its id; at the end it is a dead letter."""
    store = challenged_then_declined()
    tell(store)
    receiver = ScriptedChannel(name="callback", on_unknown=OnUnknown.RESEND)
    receiver.answers = [UnknownSent("timeout"), NotSent("500", retryable=True)] * 40
    now_ms = NOW_MS
    while due := outbox(store):
        now_ms = max(now_ms, min(message.due_at_ms for message in due))
        send_due(store=store, channel=receiver, sender=SENDER, randomness=SeededRandomness(), now_ms=now_ms, limit=9)
        receiver.answers = receiver.answers or [UnknownSent("timeout")] * 10
    assert now_ms >= NOW_MS + CALLBACK_LIFE_MS
    assert [letter.consumer for letter in store.dead_letters(limit=9)] == ["outbox", "outbox"]
    assert [letter.key for letter in store.dead_letters(limit=9)] == ["txn_1", "txn_1"]


def test_a_callback_that_may_have_gone_out_is_taken_up_after_a_crash() -> None:
    """The claim's lease runs out; it goes again under the same id."""
    store = challenged_then_declined()
    tell(store)
    receiver = ScriptedChannel(name="callback", on_unknown=OnUnknown.RESEND, on_send=crash)
    with pytest.raises(InterruptedError):
        send_due(store=store, channel=receiver, sender=SENDER, randomness=SeededRandomness(), now_ms=NOW_MS)
    receiver.on_send = None
    send_due(store=store, channel=receiver, sender=SENDER, randomness=SeededRandomness(), now_ms=NOW_MS + 60_000)
    assert sorted(receiver.took) == ["callback_2", "callback_3"]
    assert {m.state for key in receiver.took if (m := store.message(key))} == {MessageState.ACCEPTED}


def crash(message: Message) -> None:
    """Die while sending."""
    raise InterruptedError(message.message_id)


def test_a_provider_that_refuses_until_mended_alerts_once_an_hour() -> None:
    """Not with every message."""
    store = MemoryStore()
    for minute in (0, 1, 61):
        now_ms = NOW_MS - NOW_MS % 3_600_000 + minute * 60_000
        changes = provider_alarm("sms", "20003 not authenticated", store=store, sender=SENDER, now_ms=now_ms)
        assert store.apply(changes) is None
    assert len(outbox(store, "alert")) == 2


def test_a_dead_callback_is_sent_again_when_it_is_replayed() -> None:
    """Under its own id, with a new life; a second replay finds nothing to do."""
    store = challenged_then_declined()
    tell(store)
    receiver = ScriptedChannel(name="callback", on_unknown=OnUnknown.RESEND)
    receiver.answers = [NotSent("410 gone", retryable=False)] * 2
    send_due(store=store, channel=receiver, sender=SENDER, randomness=SeededRandomness(), now_ms=NOW_MS)
    letters = store.dead_letters(limit=9)
    assert [letter.cause for letter in letters] == ["410 gone", "410 gone"]
    assert [replay(letter, store) for letter in letters] == [Replayed.DONE, Replayed.DONE]
    assert store.dead_letters(limit=9) == []
    assert [message.expires_at_ms for message in outbox(store)] == [NOW_MS + CALLBACK_LIFE_MS] * 2
    assert replay(letters[0], store) is Replayed.RACED


def dead_callback(store: MemoryStore) -> DeadLetter:
    """Let the receiver refuse one callback for good; returns its letter."""
    tell(store)
    refusing = ScriptedChannel(name="callback", on_unknown=OnUnknown.RESEND)
    refusing.answers = [NotSent("301 redirected", retryable=False)]
    send_due(store=store, channel=refusing, sender=SENDER, randomness=SeededRandomness(), now_ms=NOW_MS)
    [letter] = store.dead_letters(limit=9)
    return letter


def test_a_replayed_callback_goes_to_the_address_configured_now() -> None:
    """Mending the address is why it is replayed; without one the letter stays."""
    store = challenged_then_declined()
    letter = dead_callback(store)
    with pytest.raises(CardwatchError, match="CARDWATCH_CALLBACK_URL is not set"):
        replay(letter, store, msgspec.structs.replace(SENDER, others={}))
    assert store.dead_letters(limit=9) == [letter]
    mended = msgspec.structs.replace(SENDER, others={"callback": "https://mended.example/"})
    assert replay(letter, store, mended) is Replayed.DONE
    [again] = outbox(store)
    assert (again.address, again.state) == ("https://mended.example/", MessageState.QUEUED)
    assert again.body


def test_a_callback_without_a_body_is_not_replayed() -> None:
    """It would tell nothing; its letter goes."""
    store = challenged_then_declined()
    letter = dead_callback(store)
    dead = store.message(letter.payload)
    assert dead is not None
    assert store.apply([PutMessage(successor(dead, body=""))]) is None
    assert (replay(letter, store), store.dead_letters(limit=9)) == (Replayed.NOTHING, [])
    assert outbox(store) == []


def test_what_could_not_be_told_is_told_when_it_is_replayed() -> None:
    """The letter keeps the entry of the log."""
    store = challenged_then_declined()
    detail = "declined:cardholder_denied"
    letter = AddDeadLetter(CONSUMER, "txn_1", "damaged", f"3 transaction.moved {detail}", NOW_MS)
    assert store.apply([letter]) is None
    assert replay(store.dead_letters(limit=1)[0], store) is Replayed.DONE
    assert [json.loads(message.body)["type"] for message in outbox(store)] == ["transaction.declined"]


def replay(letter: DeadLetter, store: MemoryStore, sender: Sender = SENDER) -> Replayed:
    """Replay a letter."""
    return replay_dead_letter(letter, store=store, engine=default_engine(), sender=sender, now_ms=NOW_MS)
