"""Delivery reports: repeated, reordered, early and bad ones."""

from itertools import permutations

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.message import Message, MessageState
from cardwatch.domain.provider_post import DeliveryReport
from cardwatch.domain.transaction import Status
from cardwatch.services.track_delivery import Tracked, track_delivery
from tests.builders import NOW_MS, PHONE
from tests.services.conversation import (
    SENDER,
    TTL_MS,
    asked,
    challenge_of,
    challenge_payment,
    question_id,
    say,
    status_of,
)


def question(store: MemoryStore) -> Message:
    """Return the question about txn_1."""
    message = store.message(question_id(challenge_of(store, "txn_1")))
    assert message is not None
    return message


def report(store: MemoryStore, state: MessageState, *, sid: str | None = None, **fields: object) -> Tracked:
    """Report a state of the question about txn_1."""
    told = DeliveryReport(
        message_id=question(store).message_id,
        provider_sid=sid or question(store).provider_sid or "SM1",
        state=state,
        **fields,  # type: ignore[arg-type]
    )
    return track_delivery(told, store=store, sender=SENDER, now_ms=NOW_MS + 7, token="00")


@pytest.mark.parametrize(
    "order", list(permutations([MessageState.ACCEPTED, MessageState.SENT, MessageState.DELIVERED]))
)
def test_reports_in_any_order_end_the_same(order: tuple[MessageState, ...]) -> None:
    """Delivered is final; an earlier step that comes late changes nothing."""
    store = MemoryStore()
    asked(store, "txn_1")
    for state in order:
        report(store, state)
    assert question(store).state is MessageState.DELIVERED


def test_a_repeated_report_changes_nothing() -> None:
    """The same state twice is written once."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert report(store, MessageState.SENT) is Tracked.RECORDED
    version = question(store).version
    assert report(store, MessageState.SENT) is Tracked.SAME
    assert question(store).version == version


def test_a_final_state_is_never_left() -> None:
    """Delivered stays delivered, failed stays failed."""
    for final, other in (
        (MessageState.DELIVERED, MessageState.FAILED),
        (MessageState.UNDELIVERED, MessageState.DELIVERED),
    ):
        store = MemoryStore()
        asked(store, "txn_1")
        assert report(store, final) is Tracked.RECORDED
        assert report(store, other) is Tracked.STALE
        assert report(store, final) is Tracked.SAME
        assert question(store).state is final


def test_a_report_about_another_attempt_is_not_ours() -> None:
    """A different sid than the one we hold does not speak for this text."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert report(store, MessageState.FAILED, sid="SMother") is Tracked.STALE
    assert challenge_of(store, "txn_1").state is ChallengeState.ASKED


def test_a_report_resolves_an_unknown_send() -> None:
    """It came for a text we had not recorded as taken: now it is, with its sid, and never sent again."""
    store = MemoryStore()
    challenge_payment(store, "txn_1")
    assert report(store, MessageState.SENT, sid="SM1") is Tracked.RECORDED
    assert (question(store).state, question(store).provider_sid) == (MessageState.SENT, "SM1")
    assert challenge_of(store, "txn_1").sent_at_ms == NOW_MS + 7
    assert store.due_message_ids(channel="sms", now_ms=NOW_MS * 2, limit=10) == []


@pytest.mark.parametrize("state", [MessageState.UNDELIVERED, MessageState.FAILED])
def test_a_question_that_cannot_arrive_goes_to_review_and_the_next_is_asked(state: MessageState) -> None:
    """Unreachable phones escalate, they never approve."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2")
    assert report(store, state, error="30005 unknown handset") is Tracked.RECORDED
    assert challenge_of(store, "txn_1").state is ChallengeState.UNDELIVERABLE
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert question(store).error == "30005 unknown handset"
    assert challenge_of(store, "txn_2").state is ChallengeState.ASKED


def test_a_text_that_the_provider_let_expire_ends_with_the_question() -> None:
    """Its validity was the question's remaining life."""
    store = MemoryStore()
    asked(store, "txn_1")
    told = DeliveryReport(
        message_id=question(store).message_id,
        provider_sid=question(store).provider_sid or "",
        state=MessageState.EXPIRED,
        error="30036 validity period expired",
    )
    track_delivery(told, store=store, sender=SENDER, now_ms=NOW_MS + TTL_MS - 5_000, token="00")
    assert challenge_of(store, "txn_1").state is ChallengeState.EXPIRED
    assert status_of(store, "txn_1") is Status.IN_REVIEW


def test_a_text_that_expired_long_before_its_question_is_one_that_failed() -> None:
    """The provider's own queue gave it up: the question goes another way, or to an analyst now."""
    store = MemoryStore()
    asked(store, "txn_1")
    report(store, MessageState.EXPIRED, error="30036 validity period expired")
    assert challenge_of(store, "txn_1").state is ChallengeState.UNDELIVERABLE


def test_an_opt_out_reported_is_recorded() -> None:
    """The account is not texted again."""
    store = MemoryStore()
    asked(store, "txn_1")
    report(store, MessageState.FAILED, error="21610 opted out", opted_out=True)
    assert store.opted_out_since(PHONE) == NOW_MS + 7


def test_a_failure_after_the_answer_changes_no_money() -> None:
    """Carriers say undelivered about texts that were read and answered."""
    store = MemoryStore()
    asked(store, "txn_1")
    say(store, "YES")
    assert report(store, MessageState.UNDELIVERED, error="30008 unknown") is Tracked.RECORDED
    assert status_of(store, "txn_1") is Status.APPROVED


def test_a_report_about_no_text_of_ours_is_said_so() -> None:
    """Nothing is written for it."""
    told = DeliveryReport(message_id="nobody", provider_sid="SM1", state=MessageState.SENT)
    tracked = track_delivery(told, store=MemoryStore(), sender=SENDER, now_ms=NOW_MS, token="00")
    assert tracked is Tracked.UNKNOWN_MESSAGE
