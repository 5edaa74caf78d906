"""The outbox worker: what it sends, what it looks up, what it gives up, and what follows from that."""

from collections.abc import Sequence

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import PutOptOut
from cardwatch.domain.message import Message, MessageState
from cardwatch.domain.provider_post import DeliveryReport
from cardwatch.domain.transaction import Status
from cardwatch.ports import NotSent, Sent, UnknownSent
from cardwatch.services.send_messages import (
    BACKOFF_MAX_MS,
    LEASE_MS,
    LOOK_UP_DELAY_MS,
    SENDS_MAX,
    Delivery,
    NotFound,
    Recorded,
    backoff_ms,
    claim_messages,
    deliver,
    record_delivery,
)
from cardwatch.services.track_delivery import track_delivery
from tests.builders import NOW_MS, PHONE
from tests.fakes.channel import ScriptedChannel
from tests.services.conversation import (
    SENDER,
    TTL_MS,
    challenge_of,
    challenge_payment,
    question_id,
    say,
    send_all,
    status_of,
)


def question(store: MemoryStore, transaction_id: str = "txn_1") -> Message:
    """Return the question about a payment; fails if there is none."""
    message = store.message(question_id(challenge_of(store, transaction_id)))
    assert message is not None
    return message


def work(store: MemoryStore, channel: ScriptedChannel, *, now_ms: int) -> list[Recorded]:
    """Let the worker run once."""
    return [
        record_delivery(
            claim, deliver(claim, channel=channel), store=store, sender=SENDER, now_ms=now_ms, token="ffffffff"
        )
        for claim in claim_messages(store=store, channel=ScriptedChannel(), now_ms=now_ms, limit=10)
    ]


def record(store: MemoryStore, delivery: Delivery, *, now_ms: int = NOW_MS) -> Recorded:
    """Claim the question and record an outcome for it."""
    (claim,) = claim_messages(store=store, channel=ScriptedChannel(), now_ms=now_ms, limit=10)
    return record_delivery(claim, delivery, store=store, sender=SENDER, now_ms=now_ms, token="00")


def test_a_due_question_is_sent_once_and_noted_on_its_challenge() -> None:
    """Accepted with the provider's sid; the challenge knows when; nothing is due any more."""
    store, channel = MemoryStore(), ScriptedChannel()
    challenge_payment(store, "txn_1")
    assert work(store, channel, now_ms=NOW_MS + 5) == [Recorded.ACCEPTED]
    message = question(store)
    assert (message.state, message.attempts, message.sent_at_ms) == (MessageState.ACCEPTED, 1, NOW_MS + 5)
    assert message.provider_sid == channel.took[message.message_id][0]
    assert challenge_of(store, "txn_1").sent_at_ms == NOW_MS + 5
    assert work(store, channel, now_ms=NOW_MS + TTL_MS) == []


def test_a_claimed_text_is_not_claimed_again_within_its_lease() -> None:
    """Two workers never hold one text."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    assert len(claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=10)) == 1
    assert claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS + LEASE_MS - 1, limit=10) == []


def test_a_text_that_another_worker_claims_meanwhile_is_left_to_that_one() -> None:
    """Listed as due and claimed before it is read: it is neither sent nor looked up by the slower one."""

    class Overtaken(MemoryStore):
        overtaken = False

        def due_message_ids(self, *, channel: str, now_ms: int, limit: int) -> Sequence[str]:
            due = super().due_message_ids(channel=channel, now_ms=now_ms, limit=limit)
            if not self.overtaken:
                self.overtaken = True
                assert len(claim_messages(store=self, channel=ScriptedChannel(), now_ms=now_ms, limit=limit)) == 1
            return due

    store = Overtaken()
    challenge_payment(store, "txn_1")
    assert claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=10) == []
    assert question(store).state is MessageState.SENDING


def test_a_worker_has_to_be_done_early_enough_for_the_look_up_after_its_lease() -> None:
    """What it hands over last must be listed before another worker asks; or that one sends it a second time."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    (claim,) = claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=10)
    assert claim.message.due_at_ms == NOW_MS + LEASE_MS - LOOK_UP_DELAY_MS
    assert question(store).due_at_ms == NOW_MS + LEASE_MS


@pytest.mark.parametrize("taken", [True, False])
def test_a_crash_between_claim_and_record_is_looked_up_before_anything_is_sent(taken: bool) -> None:
    """After the lease the provider is asked; only if it has no record is the text sent again."""
    store, channel = MemoryStore(), ScriptedChannel()
    challenge_payment(store, "txn_1")
    (claim,) = claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=10)
    if taken:
        deliver(claim, channel=channel)
    later = NOW_MS + LEASE_MS
    assert work(store, channel, now_ms=later) == [Recorded.ACCEPTED if taken else Recorded.RETRY]
    assert work(store, channel, now_ms=later) == ([] if taken else [Recorded.ACCEPTED])
    assert len(channel.took[question(store).message_id]) == 1


def test_an_unknown_outcome_is_looked_up_after_a_while() -> None:
    """A timeout of a text that was taken never leads to a second one."""
    store, channel = MemoryStore(), ScriptedChannel.answering(UnknownSent("timeout"))
    challenge_payment(store, "txn_1")
    assert work(store, channel, now_ms=NOW_MS) == [Recorded.UNKNOWN]
    assert (question(store).state, question(store).error) == (MessageState.UNKNOWN, "timeout")
    channel.take(question(store))
    assert work(store, channel, now_ms=NOW_MS + LOOK_UP_DELAY_MS - 1) == []
    assert work(store, channel, now_ms=NOW_MS + LOOK_UP_DELAY_MS) == [Recorded.ACCEPTED]
    assert len(channel.took[question(store).message_id]) == 1


def test_a_provider_that_cannot_be_asked_is_asked_again_and_given_up_in_the_end() -> None:
    """Nothing is sent while the answer is out; the look-up ends an hour after the text's life."""
    store, channel = MemoryStore(), ScriptedChannel.answering(UnknownSent("timeout"))
    channel.can_look_up = False
    challenge_payment(store, "txn_1")
    now_ms, outcomes = NOW_MS, []
    while question(store).state is not MessageState.FAILED:
        outcomes += work(store, channel, now_ms=now_ms)
        now_ms += LEASE_MS
        assert len(outcomes) < 200
    assert set(outcomes) == {Recorded.UNKNOWN, Recorded.FAILED}
    assert channel.took == {}


def test_what_was_provably_not_taken_is_sent_again_after_a_backoff() -> None:
    """Full jitter below the doubling ceiling; the text waits in the outbox meanwhile."""
    store, channel = MemoryStore(), ScriptedChannel.answering(NotSent("20429 too many requests", retryable=True))
    challenge_payment(store, "txn_1")
    assert work(store, channel, now_ms=NOW_MS) == [Recorded.RETRY]
    message = question(store)
    assert (message.state, message.error) == (MessageState.QUEUED, "20429 too many requests")
    assert NOW_MS < message.due_at_ms <= NOW_MS + 2_000
    assert work(store, channel, now_ms=message.due_at_ms) == [Recorded.ACCEPTED]


def test_backoff_grows_to_its_limit() -> None:
    """The longest wait doubles with each send and never exceeds a minute; the shortest is none."""
    longest = [backoff_ms(attempts, token="ffffffff") for attempts in range(1, 12)]
    assert longest == sorted(longest)
    assert BACKOFF_MAX_MS - 1 <= longest[-1] <= BACKOFF_MAX_MS
    assert backoff_ms(5, token="00000000") == 0


def test_a_refusal_ends_the_question_and_asks_the_next() -> None:
    """Undeliverable: the payment goes to review, what waits behind it is asked."""
    store = MemoryStore()
    challenge_payment(store, "txn_1", user_id="user_a")
    challenge_payment(store, "txn_2", user_id="user_b")
    assert record(store, NotSent("21614 not a mobile number", retryable=False)) is Recorded.FAILED
    assert challenge_of(store, "txn_1").state is ChallengeState.UNDELIVERABLE
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert question(store).error == "21614 not a mobile number"
    assert challenge_of(store, "txn_2").state is ChallengeState.ASKED


def test_a_number_that_opted_out_is_recorded() -> None:
    """The provider's refusal counts as the holder's STOP; what the account has waiting is not asked."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    challenge_payment(store, "txn_2")
    assert record(store, NotSent("21610 opted out", retryable=False, opted_out=True)) is Recorded.FAILED
    assert store.opted_out_since(PHONE) == NOW_MS
    send_all(store)
    assert challenge_of(store, "txn_2").state is ChallengeState.UNDELIVERABLE
    assert status_of(store, "txn_2") is Status.IN_REVIEW


def test_retries_end() -> None:
    """A provider that never takes a text does not keep it for ever."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    channel = ScriptedChannel.answering(*[NotSent("20429", retryable=True)] * (SENDS_MAX + 1))
    now_ms = NOW_MS
    for _ in range(SENDS_MAX):
        work(store, channel, now_ms=now_ms)
        now_ms = question(store).due_at_ms
    assert question(store).state is MessageState.FAILED
    assert challenge_of(store, "txn_1").state is ChallengeState.UNDELIVERABLE


def test_a_question_whose_life_is_over_is_not_sent() -> None:
    """It expires in the outbox; the challenge is the sweep's."""
    store, channel = MemoryStore(), ScriptedChannel()
    challenge_payment(store, "txn_1")
    assert work(store, channel, now_ms=NOW_MS + TTL_MS) == []
    assert question(store).state is MessageState.EXPIRED
    assert channel.took == {}


def test_a_question_that_was_closed_before_it_left_is_not_sent() -> None:
    """STOP came first."""
    store, channel = MemoryStore(), ScriptedChannel()
    challenge_payment(store, "txn_1")
    say(store, "STOP")
    assert work(store, channel, now_ms=NOW_MS) == []
    assert (question(store).state, question(store).error) == (MessageState.EXPIRED, "question closed")


def test_an_answer_to_a_holder_who_opted_out_is_not_sent() -> None:
    """An opt-out is honoured at once, even for what lies in the outbox."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    send_all(store)
    say(store, "maybe")
    assert store.apply([PutOptOut(PHONE, NOW_MS)]) is None
    assert send_all(store).took == {}


def test_a_report_that_comes_before_the_send_returned_is_kept() -> None:
    """The callback knows the sid and more; recording the send then changes nothing."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    (claim,) = claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=10)
    report = DeliveryReport(message_id=claim.message.message_id, provider_sid="SM1", state=MessageState.DELIVERED)
    track_delivery(report, store=store, sender=SENDER, now_ms=NOW_MS, token="00")
    stale = record_delivery(claim, Sent("SM1"), store=store, sender=SENDER, now_ms=NOW_MS, token="00")
    assert stale is Recorded.STALE
    assert (question(store).state, question(store).provider_sid) == (MessageState.DELIVERED, "SM1")


def test_a_worker_that_was_too_slow_changes_nothing_with_bad_news() -> None:
    """After the lease another worker has the text: only the news that it was taken still counts."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    (slow,) = claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=10)
    later = NOW_MS + LEASE_MS
    assert record(store, NotFound(), now_ms=later) is Recorded.RETRY
    for news in (NotSent("21211 bad number", retryable=False), UnknownSent("timeout")):
        stale = record_delivery(slow, news, store=store, sender=SENDER, now_ms=later, token="00")
        assert stale is Recorded.STALE
    taken = record_delivery(slow, Sent("SM1"), store=store, sender=SENDER, now_ms=later, token="00")
    assert taken is Recorded.ACCEPTED
    assert question(store).state is MessageState.ACCEPTED
