"""An unanswered question is put again, by the account's own policy and at the right hour."""

from typing import Any

import msgspec
import pytest

from cardwatch.adapters.clock import SeededRandomness
from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.account import PushTarget
from cardwatch.domain.challenge import Challenge, ChallengeState, ChannelName, DefaultAction, Step
from cardwatch.domain.changes import AddTransaction, DecideTransaction, PutAccount, PutOptOut
from cardwatch.domain.decision import Outcome
from cardwatch.domain.escalation import AskingRules, Escalation, QuietHours
from cardwatch.domain.message import Message, MessageKind, MessageState
from cardwatch.domain.provider_post import DeliveryReport, InboundText
from cardwatch.domain.transaction import Status
from cardwatch.ports import NotSent, OnUnknown
from cardwatch.services.ask_cardholder import ChallengePlan, plan_challenge
from cardwatch.services.escalate_challenges import RETRY_DELAY_MS, escalate_challenges
from cardwatch.services.expire_challenges import expire_challenges
from cardwatch.services.handle_reply import handle_reply
from cardwatch.services.reach import NotReachable, Sender, Unreachable
from cardwatch.services.reply_turn import Result
from cardwatch.services.send_messages import send_due
from cardwatch.services.track_delivery import track_delivery
from tests.builders import NOW_MS, OWN_NUMBER, PHONE, make_account, make_decision, make_transaction
from tests.fakes.channel import ScriptedChannel
from tests.services.conversation import TTL_MS, challenge_of, status_of

EMAIL = "ada@example.com"
DEVICE = PushTarget(fcm_token="device-token-of-ada")
TEXT_THEN_MAIL = (Step(ChannelName.SMS, wait_s=600), Step(ChannelName.EMAIL))
MINUTE_MS = 60_000


def sender(
    *steps: Step, quiet_hours: QuietHours | None = None, default: DefaultAction = DefaultAction.REVIEW
) -> Sender:
    """Return our end with every channel and one escalation for all."""
    escalation = Escalation("all", steps, default_action=default)
    rules = AskingRules(escalations=(escalation,), quiet_hours=quiet_hours)
    others = {"email": "fraud@bank.example", "push": "push"}
    return Sender(institution="Cardwatch", own_number=OWN_NUMBER, others=others, rules=rules)


def ask(store: MemoryStore, asking: Sender, *, now_ms: int = NOW_MS, **fields: Any) -> Challenge:
    """Challenge txn_1 of an account that has every channel, unless told otherwise."""
    usual: dict[str, Any] = {"channels": ("sms", "email", "push"), "push": DEVICE}
    account = make_account(**{**usual, **fields})
    payment = make_transaction("txn_1", timestamp_ms=now_ms, received_at_ms=now_ms)
    assert store.apply([PutAccount(account), AddTransaction(payment)]) is None
    plan = plan_challenge(
        store=store,
        account=account,
        transaction=payment,
        score=0.9,
        now_ms=now_ms,
        ttl_ms=TTL_MS,
        sender=asking,
        token="5eed",
    )
    assert isinstance(plan, ChallengePlan)
    decided = DecideTransaction("txn_1", make_decision(outcome=Outcome.CHALLENGE), Status.CHALLENGED)
    assert store.apply([decided, *plan.changes]) is None
    return plan.challenge


def send(
    store: MemoryStore, asking: Sender, *, now_ms: int, channel: str = "sms", answer: NotSent | None = None
) -> None:
    """Let a channel's worker send what is due."""
    provider = ScriptedChannel(name=channel, on_unknown=OnUnknown.LEAVE if channel != "sms" else OnUnknown.LOOK_UP)
    provider.answers = [answer] if answer else []
    send_due(store=store, channel=provider, sender=asking, randomness=SeededRandomness(), now_ms=now_ms)


def escalate(store: MemoryStore, asking: Sender, *, now_ms: int) -> tuple[str, ...]:
    """Sweep once."""
    return escalate_challenges(store=store, sender=asking, now_ms=now_ms, token="e5ca")


def put(store: MemoryStore) -> list[tuple[str, str]]:
    """Return channel and kind of every message that puts the question, in order."""
    messages = store.messages_about("txn_1:challenge")
    return [(m.channel, m.kind.value) for m in messages if m.kind in {MessageKind.QUESTION, MessageKind.REMINDER}]


def last(store: MemoryStore) -> Message:
    """Return the latest message about the challenge."""
    return store.messages_about("txn_1:challenge")[-1]


def test_a_question_nobody_answered_goes_to_the_next_channel() -> None:
    """After the step's wait and no sooner; the first channel's question still stands."""
    store, asking = MemoryStore(), sender(*TEXT_THEN_MAIL)
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    assert escalate(store, asking, now_ms=NOW_MS + 10 * MINUTE_MS - 1) == ()
    assert escalate(store, asking, now_ms=NOW_MS + 10 * MINUTE_MS) == ("txn_1:challenge",)
    assert put(store) == [("sms", "question"), ("email", "question")]
    mail = last(store)
    assert (mail.address, mail.own_address, mail.language) == (EMAIL, "fraud@bank.example", "en")
    assert mail.nonce is not None
    assert len(mail.nonce) == 32
    assert mail.expires_at_ms == NOW_MS + TTL_MS
    assert challenge_of(store, "txn_1").channel == "email"
    assert escalate(store, asking, now_ms=NOW_MS + 29 * MINUTE_MS) == ()
    text = InboundText(message_id="SM1", phone=PHONE, own_number=OWN_NUMBER, body="YES")
    outcome = handle_reply(text, store=store, sender=asking, now_ms=NOW_MS + 29 * MINUTE_MS, token="00")
    assert outcome.result is Result.CONFIRMED


def test_an_answered_question_is_not_put_again() -> None:
    """The sweep finds nothing to do."""
    store, asking = MemoryStore(), sender(*TEXT_THEN_MAIL)
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    text = InboundText(message_id="SM1", phone=PHONE, own_number=OWN_NUMBER, body="NO")
    handle_reply(text, store=store, sender=asking, now_ms=NOW_MS + 1, token="00")
    assert escalate(store, asking, now_ms=NOW_MS + 11 * MINUTE_MS) == ()
    assert put(store) == [("sms", "question")]


def test_a_channel_that_the_account_lacks_is_passed_over() -> None:
    """By the plan, and again when its turn comes: the device may be gone by then."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.PUSH, wait_s=60), Step(ChannelName.SMS, wait_s=60), Step(ChannelName.EMAIL))
    challenge = ask(store, asking, push=None)
    assert [step.channel for step in challenge.steps] == ["sms", "email"]
    account = store.account("user_001")
    assert account is not None
    without = msgspec.structs.replace(account, email=None, version=2)
    assert store.apply([PutAccount(without)]) is None
    escalate(store, asking, now_ms=NOW_MS + MINUTE_MS)
    assert put(store) == [("sms", "question")]
    assert challenge_of(store, "txn_1").act_at_ms is None


def test_nobody_is_asked_where_no_channel_of_the_policy_reaches() -> None:
    """The first step's reason is the one that counts."""
    asking = sender(Step(ChannelName.PUSH, wait_s=60), Step(ChannelName.EMAIL))
    plan = plan_challenge(
        store=MemoryStore(),
        account=make_account(channels=("sms",), email=None),
        transaction=make_transaction(),
        score=0.9,
        now_ms=NOW_MS,
        ttl_ms=TTL_MS,
        sender=asking,
        token="00",
    )
    assert plan == NotReachable(Unreachable.NO_DEVICE)


def test_a_reminder_puts_the_same_question_once() -> None:
    """With the same code and to the same phone; then the next channel at its time."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, wait_s=600, remind_after_s=300), Step(ChannelName.EMAIL))
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    assert escalate(store, asking, now_ms=NOW_MS + 5 * MINUTE_MS)
    assert put(store) == [("sms", "question"), ("sms", "reminder")]
    assert last(store).body.startswith("Cardwatch: Reminder")
    assert not escalate(store, asking, now_ms=NOW_MS + 9 * MINUTE_MS)
    assert escalate(store, asking, now_ms=NOW_MS + 10 * MINUTE_MS)
    assert put(store)[-1] == ("email", "question")


@pytest.mark.parametrize(
    ("zone", "hour_utc", "deferred"), [("UTC", 21, True), ("UTC", 20, False), ("Asia/Tokyo", 14, True)]
)
def test_a_reminder_keeps_the_quiet_hours_of_its_account(zone: str, hour_utc: int, deferred: bool) -> None:
    """By the account's own clock; what is deferred past the question's life is not sent at all."""
    midnight_ms = NOW_MS - NOW_MS % 86_400_000
    now_ms = midnight_ms + hour_utc * 3_600_000 - 5 * MINUTE_MS
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, remind_after_s=300), quiet_hours=QuietHours())
    ask(store, asking, now_ms=now_ms, time_zone=zone)
    send(store, asking, now_ms=now_ms)
    escalate(store, asking, now_ms=now_ms + 5 * MINUTE_MS)
    assert (("sms", "reminder") in put(store)) is not deferred
    assert challenge_of(store, "txn_1").state is ChallengeState.ASKED


def test_a_deferred_reminder_goes_out_when_the_quiet_hours_end() -> None:
    """If the question still has life then."""
    morning_ms = NOW_MS - NOW_MS % 86_400_000 + 8 * 3_600_000
    now_ms = morning_ms - 20 * MINUTE_MS
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, remind_after_s=300), quiet_hours=QuietHours())
    ask(store, asking, now_ms=now_ms, time_zone="UTC")
    send(store, asking, now_ms=now_ms)
    escalate(store, asking, now_ms=now_ms + 5 * MINUTE_MS)
    assert put(store) == [("sms", "question")]
    assert challenge_of(store, "txn_1").act_at_ms == morning_ms
    escalate(store, asking, now_ms=morning_ms)
    assert put(store) == [("sms", "question"), ("sms", "reminder")]


def test_a_reminder_that_is_held_up_does_not_go_out_in_the_quiet_hours() -> None:
    """The provider asks for a pause that lasts into the evening: the reminder is dropped, and not delivered either."""
    evening_ms = NOW_MS - NOW_MS % 86_400_000 + 21 * 3_600_000
    now_ms = evening_ms - 6 * MINUTE_MS
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, remind_after_s=300), quiet_hours=QuietHours())
    ask(store, asking, now_ms=now_ms, time_zone="UTC")
    send(store, asking, now_ms=now_ms)
    escalate(store, asking, now_ms=now_ms + 5 * MINUTE_MS)
    assert last(store).expires_at_ms == evening_ms
    busy = NotSent("20429 too many requests", retryable=True, retry_after_ms=2 * MINUTE_MS)
    send(store, asking, now_ms=now_ms + 5 * MINUTE_MS, answer=busy)
    send(store, asking, now_ms=evening_ms + 2 * MINUTE_MS)
    assert (last(store).state, last(store).attempts) == (MessageState.EXPIRED, 1)
    assert challenge_of(store, "txn_1").state is ChallengeState.ASKED


def test_a_reminder_does_not_take_the_third_text_twice() -> None:
    """Question, a prompt after an unclear answer, the reminder: three, and the answer gets no text any more."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, remind_after_s=300))
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    for sid, body, minute in (("SM1", "what?", 1), ("SM2", "YES", 6)):
        if minute == 6:
            escalate(store, asking, now_ms=NOW_MS + 5 * MINUTE_MS)
            send(store, asking, now_ms=NOW_MS + 5 * MINUTE_MS)
        text = InboundText(message_id=sid, phone=PHONE, own_number=OWN_NUMBER, body=body)
        handle_reply(text, store=store, sender=asking, now_ms=NOW_MS + minute * MINUTE_MS, token="00")
    texts = [m for m in store.messages_about("txn_1:challenge") if m.direction == "outbound"]
    assert [m.kind.value for m in texts] == ["question", "ack", "reminder"]
    assert status_of(store, "txn_1") is Status.APPROVED


def test_a_text_that_cannot_arrive_moves_the_question_on_at_once() -> None:
    """A landline: the e-mail goes out now, not after the wait."""
    store, asking = MemoryStore(), sender(*TEXT_THEN_MAIL)
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS + 1, answer=NotSent("21614 not a mobile number", retryable=False))
    assert put(store) == [("sms", "question"), ("email", "question")]
    assert challenge_of(store, "txn_1").state is ChallengeState.ASKED


def test_a_handset_that_could_not_be_reached_is_tried_once_more_then_passed() -> None:
    """30003 and 30008: the same text after a while, then the next channel, then nobody."""
    store, asking = MemoryStore(), sender(*TEXT_THEN_MAIL)
    ask(store, asking)
    for number in (1, 2):
        now_ms = NOW_MS + number * MINUTE_MS
        send(store, asking, now_ms=now_ms)
        told = DeliveryReport(
            message_id=f"txn_1:challenge:sms:question:{number}",
            provider_sid=f"SMtxn_1:challenge:sms:question:{number}:0",
            state=MessageState.UNDELIVERED,
            error="30003 handset unreachable",
            once_more=True,
        )
        track_delivery(told, store=store, sender=asking, now_ms=now_ms, token="00")
        if number == 1:
            assert last(store).due_at_ms == now_ms + RETRY_DELAY_MS
    assert put(store) == [("sms", "question"), ("sms", "question"), ("email", "question")]
    send(store, asking, now_ms=NOW_MS + 3 * MINUTE_MS, channel="email", answer=NotSent("550", retryable=False))
    assert challenge_of(store, "txn_1").state is ChallengeState.UNDELIVERABLE
    assert status_of(store, "txn_1") is Status.IN_REVIEW


def test_a_later_channel_that_fails_ends_no_question_that_stands_on_an_earlier_one() -> None:
    """The text was delivered; that the e-mail bounced changes nothing."""
    store, asking = MemoryStore(), sender(*TEXT_THEN_MAIL)
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    escalate(store, asking, now_ms=NOW_MS + 10 * MINUTE_MS)
    send(store, asking, now_ms=NOW_MS + 10 * MINUTE_MS, channel="email", answer=NotSent("550", retryable=False))
    assert challenge_of(store, "txn_1").state is ChallengeState.ASKED
    assert status_of(store, "txn_1") is Status.CHALLENGED


def test_a_dead_device_is_forgotten() -> None:
    """404 and 410 from the push service: the target goes, the question moves on."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.PUSH, wait_s=60), Step(ChannelName.SMS))
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS, channel="push", answer=NotSent("410", retryable=False, gone=True))
    account = store.account("user_001")
    assert account is not None
    assert account.push is None
    assert put(store) == [("push", "question"), ("sms", "question")]


def test_an_opt_out_meanwhile_keeps_reminder_and_text_from_going_out() -> None:
    """What the number refused is not put by text again; other channels are tried."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, wait_s=600, remind_after_s=300), Step(ChannelName.EMAIL))
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    assert store.apply([PutOptOut(PHONE, NOW_MS)]) is None
    escalate(store, asking, now_ms=NOW_MS + 5 * MINUTE_MS)
    escalate(store, asking, now_ms=NOW_MS + 10 * MINUTE_MS)
    assert put(store) == [("sms", "question"), ("email", "question")]


def test_silence_does_what_the_policy_says_and_never_approves() -> None:
    """Review unless the policy says decline."""
    for default, status in ((DefaultAction.REVIEW, Status.IN_REVIEW), (DefaultAction.DECLINE, Status.DECLINED)):
        store, asking = MemoryStore(), sender(Step(ChannelName.SMS), default=default)
        ask(store, asking)
        expire_challenges(store=store, sender=asking, now_ms=NOW_MS + TTL_MS, token="00")
        assert status_of(store, "txn_1") is status
        record = store.transaction("txn_1")
        assert record is not None
        assert record.label is None


def test_a_question_by_push_first_is_not_answered_by_a_text() -> None:
    """A bare YES cannot be about what never reached that phone; a NO can always be meant."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.PUSH, wait_s=600), Step(ChannelName.SMS))
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS, channel="push")
    for sid, body, result in (("SM1", "YES", Result.UNMATCHED), ("SM2", "NO", Result.DENIED)):
        text = InboundText(message_id=sid, phone=PHONE, own_number=OWN_NUMBER, body=body)
        assert handle_reply(text, store=store, sender=asking, now_ms=NOW_MS + 1, token="00").result is result
    assert status_of(store, "txn_1") is Status.DECLINED


def change_account(store: MemoryStore, **fields: Any) -> None:
    """Replace fields of the account, as a PUT does."""
    account = store.account("user_001")
    assert account is not None
    assert store.apply([PutAccount(msgspec.structs.replace(account, **fields, version=account.version + 1))]) is None


def test_a_text_goes_only_to_the_phone_in_whose_queue_the_question_stands() -> None:
    """A number that the account got meanwhile has a queue of its own: no reminder, no second attempt, no next step."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, wait_s=600, remind_after_s=300), Step(ChannelName.EMAIL))
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    change_account(store, phone_number="+12025550102")
    escalate(store, asking, now_ms=NOW_MS + 5 * MINUTE_MS)
    told = DeliveryReport(
        message_id="txn_1:challenge:sms:question:1",
        provider_sid="SMtxn_1:challenge:sms:question:1:0",
        state=MessageState.UNDELIVERED,
        once_more=True,
    )
    track_delivery(told, store=store, sender=asking, now_ms=NOW_MS + 6 * MINUTE_MS, token="00")
    assert put(store) == [("sms", "question"), ("email", "question")]


@pytest.mark.parametrize(
    "change", [{"consent": False}, {"channels": ("email",)}, {"phone_number": "+12025550102"}, {"held_since_ms": 1}]
)
def test_what_changed_meanwhile_counts_for_every_further_message(change: dict[str, Any]) -> None:
    """Consent, channels, number and hold are read when a message is due, not when the question was planned."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, remind_after_s=300))
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    change_account(store, **change)
    escalate(store, asking, now_ms=NOW_MS + 5 * MINUTE_MS)
    assert put(store) == [("sms", "question")]


def test_a_question_in_the_outbox_does_not_go_to_an_address_that_was_left() -> None:
    """It goes by the next channel instead."""
    store, asking = MemoryStore(), sender(*TEXT_THEN_MAIL)
    ask(store, asking)
    change_account(store, phone_number="+12025550102")
    send(store, asking, now_ms=NOW_MS + 1)
    assert put(store) == [("sms", "question"), ("email", "question")]
    assert store.messages_about("txn_1:challenge")[0].error == "address changed"


def test_a_question_that_no_text_carried_gives_its_phone_up() -> None:
    """On a landline: it stands by e-mail, and the next question of that phone is asked at once."""
    store, asking = MemoryStore(), sender(*TEXT_THEN_MAIL)
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS + 1, answer=NotSent("21614 not a mobile number", retryable=False))
    assert challenge_of(store, "txn_1").phone == ""
    payment = make_transaction("txn_2")
    plan = plan_challenge(
        store=store,
        account=store.account("user_001"),
        transaction=payment,
        score=0.9,
        now_ms=NOW_MS + 2,
        ttl_ms=TTL_MS,
        sender=asking,
        token="00",
    )
    assert isinstance(plan, ChallengePlan)
    assert plan.challenge.state is ChallengeState.ASKED


def test_a_reminder_waits_for_the_question_to_have_gone_out() -> None:
    """After an outage both would arrive in the same second."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, remind_after_s=300))
    ask(store, asking)
    escalate(store, asking, now_ms=NOW_MS + 5 * MINUTE_MS)
    assert put(store) == [("sms", "question")]


def test_an_opt_out_told_of_a_reminder_moves_the_question_on() -> None:
    """The number takes no texts any more, so the e-mail goes out now."""
    store = MemoryStore()
    asking = sender(Step(ChannelName.SMS, wait_s=900, remind_after_s=300), Step(ChannelName.EMAIL))
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    escalate(store, asking, now_ms=NOW_MS + 5 * MINUTE_MS)
    refused = NotSent("21610 opted out", retryable=False, opted_out=True)
    send(store, asking, now_ms=NOW_MS + 5 * MINUTE_MS + 1, answer=refused)
    assert put(store) == [("sms", "question"), ("sms", "reminder"), ("email", "question")]


def test_a_yes_of_an_account_that_a_no_holds_meanwhile_goes_to_review() -> None:
    """NO wins over YES, also where they are about two payments of one account."""
    store, asking = MemoryStore(), sender(Step(ChannelName.SMS))
    ask(store, asking)
    send(store, asking, now_ms=NOW_MS)
    change_account(store, held_since_ms=NOW_MS)
    text = InboundText(message_id="SM1", phone=PHONE, own_number=OWN_NUMBER, body="YES")
    outcome = handle_reply(text, store=store, sender=asking, now_ms=NOW_MS + 1, token="00")
    assert outcome.result is Result.REOPENED
    assert status_of(store, "txn_1") is Status.IN_REVIEW
