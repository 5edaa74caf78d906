"""Changes of mind and answers that come late: none of them releases money."""

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import MoveTransaction
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.message import MessageState
from cardwatch.domain.provider_post import DeliveryReport
from cardwatch.domain.transaction import Status
from cardwatch.ports import NotSent
from cardwatch.services.label_transaction import label_transaction
from cardwatch.services.reply_turn import Result
from cardwatch.services.send_messages import claim_messages, record_delivery
from cardwatch.services.track_delivery import track_delivery
from tests.builders import NOW_MS
from tests.fakes.channel import ScriptedChannel
from tests.services.conversation import (
    HOUR_MS,
    SENDER,
    TTL_MS,
    account_held,
    asked,
    challenge_of,
    challenge_payment,
    label_of,
    question_id,
    say,
    send_all,
    sent_bodies,
    status_of,
    sweep,
)

SECOND_MS = 1_000


# A change of mind


def test_no_after_yes_inside_the_window_holds_again() -> None:
    """The payment goes back to review, the challenge counts as denied, the account is held, the label is turned."""
    store = MemoryStore()
    asked(store, "txn_1")
    say(store, "YES")
    assert say(store, "NO", now_ms=NOW_MS + HOUR_MS) is Result.HELD_AGAIN
    assert challenge_of(store, "txn_1").state is ChallengeState.DENIED
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert label_of(store, "txn_1") == (LabelValue.FRAUD, LabelSource.CARDHOLDER)
    assert account_held(store)


def test_no_after_yes_outside_the_window_asks_to_call() -> None:
    """Nothing moves; the holder is told to call."""
    store = MemoryStore()
    asked(store, "txn_1")
    say(store, "YES")
    assert say(store, "NO", now_ms=NOW_MS + HOUR_MS + 1) is Result.TOO_LATE_TO_CHANGE
    assert status_of(store, "txn_1") is Status.APPROVED
    assert "call us" in sent_bodies(store)[-1]


def test_no_after_yes_takes_back_the_yes_while_the_next_question_lies_in_the_outbox() -> None:
    """The next question was not seen yet, so NO is about the one just confirmed; the next is cancelled by the hold."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2")
    say(store, "YES")
    assert say(store, "NO") is Result.HELD_AGAIN
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert challenge_of(store, "txn_2").state is ChallengeState.CANCELLED
    channel = send_all(store)
    assert question_id(challenge_of(store, "txn_2")) not in channel.took


def test_yes_after_no_goes_to_an_analyst() -> None:
    """Nothing is released: declined becomes in_review, the account stays held, saying it again does nothing."""
    store = MemoryStore()
    asked(store, "txn_1")
    say(store, "NO")
    assert say(store, "YES") is Result.REOPENED
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert account_held(store)
    assert say(store, "YES") is Result.REPEATED


def test_yes_after_no_does_not_reopen_what_an_analyst_decided() -> None:
    """An analyst's word stands."""
    store = MemoryStore()
    asked(store, "txn_1")
    say(store, "NO")
    label_transaction(
        "txn_1",
        value=LabelValue.FRAUD,
        source=LabelSource.ANALYST,
        note=None,
        replace=False,
        store=store,
        now_ms=NOW_MS,
    )
    assert say(store, "YES") is Result.REPEATED
    assert status_of(store, "txn_1") is Status.DECLINED


# Late


@pytest.mark.parametrize("swept", [True, False])
def test_a_late_yes_releases_nothing(swept: bool) -> None:
    """At the very end of the life it is over, whether or not a sweep ran; the holder is told to call."""
    store = MemoryStore()
    asked(store, "txn_1")
    end = NOW_MS + TTL_MS
    if swept:
        sweep(store, end)
    assert say(store, "YES", now_ms=end) is Result.LATE
    assert challenge_of(store, "txn_1").state is ChallengeState.EXPIRED
    assert challenge_of(store, "txn_1").answer == "yes"
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert label_of(store, "txn_1") is None
    assert "too late" in sent_bodies(store)[-1]
    texts = len(sent_bodies(store))
    assert say(store, "YES", now_ms=end + 1) is Result.REPEATED
    assert len(sent_bodies(store)) == texts


def test_a_yes_in_the_last_millisecond_counts() -> None:
    """In time means before the end of the life."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "YES", now_ms=NOW_MS + TTL_MS - 1) is Result.CONFIRMED


@pytest.mark.parametrize("swept", [True, False])
def test_a_late_no_opens_a_review_and_holds_the_account(swept: bool) -> None:
    """The payment is in review, never declined by a late word, and the account is held."""
    store = MemoryStore()
    asked(store, "txn_1")
    end = NOW_MS + TTL_MS
    if swept:
        sweep(store, end)
    assert say(store, "NO", now_ms=end) is Result.LATE
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert challenge_of(store, "txn_1").answer == "no"
    assert account_held(store)
    assert label_of(store, "txn_1") is None


def test_a_late_no_takes_back_what_an_analyst_let_pass() -> None:
    """Approved after the silence, then denied: it is looked at again."""
    store = MemoryStore()
    asked(store, "txn_1")
    sweep(store, NOW_MS + TTL_MS)
    assert store.apply([MoveTransaction("txn_1", Status.IN_REVIEW, Status.APPROVED, "analyst_genuine")]) is None
    assert say(store, "NO", now_ms=NOW_MS + 2 * HOUR_MS) is Result.LATE
    assert status_of(store, "txn_1") is Status.IN_REVIEW


def test_a_late_answer_asks_the_next_question() -> None:
    """The one that found its question over frees the phone."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2", now_ms=NOW_MS + SECOND_MS)
    assert say(store, "YES", now_ms=NOW_MS + TTL_MS) is Result.LATE
    assert challenge_of(store, "txn_2").state is ChallengeState.ASKED


def test_a_bare_yes_is_not_to_a_question_that_lies_in_the_outbox_behind_an_earlier_one() -> None:
    """Two days after a question that went unanswered, a YES may still be about that one."""
    store = MemoryStore()
    asked(store, "txn_1")
    later = NOW_MS + 48 * HOUR_MS
    sweep(store, later)
    assert challenge_payment(store, "txn_2", now_ms=later).code is None
    assert say(store, "YES", now_ms=later) is Result.LATE
    assert status_of(store, "txn_2") is Status.CHALLENGED
    send_all(store, now_ms=later)
    assert say(store, "YES", now_ms=later) is Result.CONFIRMED


def test_a_yes_faster_than_our_record_of_sending_counts() -> None:
    """Nothing else was asked on that phone for days, or the code proves that the question was read."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    assert len(claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=9)) == 1
    assert say(store, "YES") is Result.CONFIRMED
    second = challenge_payment(store, "txn_2")
    assert claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=9)
    assert say(store, f"YES {second.code}") is Result.CONFIRMED


def test_a_yes_to_a_question_that_never_left_releases_nothing() -> None:
    """Neither before the first try, nor after the provider provably refused it; a NO counts all the same."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    assert say(store, "YES") is Result.UNMATCHED
    (claim,) = claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=9)
    refused = NotSent("20429 too many requests", retryable=True)
    record_delivery(claim, refused, store=store, sender=SENDER, now_ms=NOW_MS, token="00")
    assert say(store, "YES") is Result.UNMATCHED
    assert status_of(store, "txn_1") is Status.CHALLENGED
    assert say(store, "NO") is Result.DENIED


def test_a_yes_to_a_prompt_counts_though_the_question_before_it_never_arrived() -> None:
    """The prompt names payment and answer like the question does, which waits for its second attempt meanwhile."""
    store = MemoryStore()
    challenge = asked(store, "txn_1")
    assert say(store, "what?", sid="SM1") is Result.PROMPTED
    provider = send_all(store)
    assert list(provider.took) == ["txn_1:challenge:sms:ack:1"]
    message = store.message(question_id(challenge))
    assert message is not None
    assert message.provider_sid is not None
    unreachable = DeliveryReport(
        message_id=message.message_id,
        provider_sid=message.provider_sid,
        state=MessageState.UNDELIVERED,
        error="30003 handset unreachable",
        once_more=True,
    )
    track_delivery(unreachable, store=store, sender=SENDER, now_ms=NOW_MS + SECOND_MS, token="7e57")
    assert say(store, "YES", sid="SM2", now_ms=NOW_MS + 2 * SECOND_MS) is Result.CONFIRMED
    assert status_of(store, "txn_1") is Status.APPROVED
