"""What a cardholder's text does to a challenge, its payment, the account and the queue behind it."""

import msgspec
import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import PutAccount
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.transaction import Status
from cardwatch.services.label_transaction import label_transaction
from cardwatch.services.reply_turn import Result
from tests.builders import NOW_MS, OTHER_PHONE, PHONE
from tests.services.conversation import (
    account_held,
    asked,
    challenge_of,
    challenge_payment,
    label_of,
    say,
    send_all,
    sent_bodies,
    status_of,
)

SECOND_MS = 1_000


# YES and NO in time


def test_yes_in_time_approves_and_labels_genuine() -> None:
    """The challenge is confirmed, the payment approved, the holder's word kept, the outcome echoed."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "YES", now_ms=NOW_MS + SECOND_MS) is Result.CONFIRMED
    challenge = challenge_of(store, "txn_1")
    assert (challenge.state, challenge.answer, challenge.answered_at_ms) == (
        ChallengeState.CONFIRMED,
        "yes",
        NOW_MS + SECOND_MS,
    )
    assert status_of(store, "txn_1") is Status.APPROVED
    assert label_of(store, "txn_1") == (LabelValue.GENUINE, LabelSource.CARDHOLDER)
    assert "is approved" in sent_bodies(store)[-1]
    assert not account_held(store)


def test_no_in_time_declines_labels_fraud_and_holds_the_account() -> None:
    """The challenge is denied, the payment declined, the account held from that moment."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "No!", now_ms=NOW_MS + SECOND_MS) is Result.DENIED
    assert challenge_of(store, "txn_1").state is ChallengeState.DENIED
    assert status_of(store, "txn_1") is Status.DECLINED
    assert label_of(store, "txn_1") == (LabelValue.FRAUD, LabelSource.CARDHOLDER)
    assert account_held(store)
    assert "is blocked" in sent_bodies(store)[-1]


def test_a_no_takes_back_what_the_account_has_waiting() -> None:
    """Queued questions of a held account are cancelled and their payments go to review."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2")
    assert say(store, "NO") is Result.DENIED
    assert challenge_of(store, "txn_2").state is ChallengeState.CANCELLED
    assert status_of(store, "txn_2") is Status.IN_REVIEW
    assert store.open_challenges(PHONE) == []


def test_after_an_answer_the_next_question_of_the_phone_is_asked_with_a_code() -> None:
    """What waited is asked in the same write as the answer is recorded; a bare YES does not answer it."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2")
    assert say(store, "YES") is Result.CONFIRMED
    second = challenge_of(store, "txn_2")
    assert (second.state, second.code is not None) == (ChallengeState.ASKED, True)
    send_all(store)
    assert say(store, "YES") is Result.CODE_NEEDED
    assert status_of(store, "txn_2") is Status.CHALLENGED
    assert say(store, f"YES {second.code}") is Result.CONFIRMED
    assert status_of(store, "txn_2") is Status.APPROVED


def test_a_doubled_yes_releases_one_payment() -> None:
    """Two texts saying YES, of which the second comes when the next question stands: that one stays challenged."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2")
    assert say(store, "YES", sid="SM1") is Result.CONFIRMED
    assert say(store, "YES", sid="SM2") is Result.REPEATED
    send_all(store)
    assert say(store, "YES", sid="SM3") is Result.CODE_NEEDED
    assert status_of(store, "txn_2") is Status.CHALLENGED


def test_the_same_text_again_changes_nothing() -> None:
    """A redelivery has the same sid; it is a no-op that writes nothing."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "YES", sid="SM1") is Result.CONFIRMED
    entries = len(store.log(after=0, limit=1000))
    assert say(store, "YES", sid="SM1") is Result.DUPLICATE
    assert len(store.log(after=0, limit=1000)) == entries


@pytest.mark.parametrize("body", ["YES", "NO"])
def test_the_same_answer_in_another_text_gets_no_second_ack(body: str) -> None:
    """A repeated answer is a no-op."""
    store = MemoryStore()
    asked(store, "txn_1")
    say(store, body)
    texts = len(sent_bodies(store))
    assert say(store, body, now_ms=NOW_MS + SECOND_MS) is Result.REPEATED
    assert len(sent_bodies(store)) == texts


# Codes


def test_a_wrong_code_releases_nothing_and_is_asked_again() -> None:
    """Digits that belong to no question of that phone count as no answer."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2")
    say(store, "YES")
    send_all(store)
    assert say(store, "YES 1") is Result.CODE_NEEDED
    assert challenge_of(store, "txn_2").state is ChallengeState.ASKED
    assert any(f"reply YES {challenge_of(store, 'txn_2').code}." in body for body in sent_bodies(store))


def test_a_code_on_a_question_that_has_none_is_unclear() -> None:
    """YES with digits was meant for another question; the standing one is asked about again."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "YES 48") is Result.PROMPTED
    assert status_of(store, "txn_1") is Status.CHALLENGED


def test_no_never_needs_a_code() -> None:
    """A bare or mistaken NO denies the question that stands."""
    for body in ("NO", "NO 1"):
        store = MemoryStore()
        asked(store, "txn_1")
        challenge_payment(store, "txn_2")
        say(store, "YES")
        send_all(store)
        assert say(store, body) is Result.DENIED
        assert status_of(store, "txn_2") is Status.DECLINED


def test_on_a_shared_phone_a_no_holds_only_the_account_it_is_about() -> None:
    """The other holder's question is asked next."""
    store = MemoryStore()
    asked(store, "txn_a", user_id="user_a")
    challenge_payment(store, "txn_b", user_id="user_b")
    assert say(store, "NO") is Result.DENIED
    assert (account_held(store, "user_a"), account_held(store, "user_b")) == (True, False)
    second = challenge_of(store, "txn_b")
    assert (second.state, second.code is not None) == (ChallengeState.ASKED, True)


def test_asking_for_the_code_stops_after_two_texts() -> None:
    """Three texts a challenge, the question included."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2")
    say(store, "YES")
    send_all(store)
    for _ in range(5):
        assert say(store, "YES") is Result.CODE_NEEDED
    about_second = [m for m in store.conversation(PHONE, limit=100) if m.transaction_id == "txn_2"]
    assert sum(m.direction == "outbound" for m in about_second) == 3


# Unclear


def test_an_unclear_answer_is_asked_about_once_then_goes_to_an_analyst() -> None:
    """One more prompt; the second unclear answer ends the challenge, without a label."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "maybe", now_ms=NOW_MS + SECOND_MS) is Result.PROMPTED
    assert "did not understand" in sent_bodies(store)[-1]
    assert say(store, "I'm driving") is Result.GIVEN_UP
    assert challenge_of(store, "txn_1").state is ChallengeState.UNCLEAR
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert label_of(store, "txn_1") is None
    assert say(store, "I'm driving") is Result.UNMATCHED
    assert len(sent_bodies(store)) == 3


def test_a_clear_answer_after_the_prompt_counts() -> None:
    """The prompt keeps the question standing."""
    store = MemoryStore()
    asked(store, "txn_1")
    say(store, "")
    assert say(store, "yes") is Result.CONFIRMED


# Keywords


@pytest.mark.parametrize("keyword", ["STOP", "cancel", "UNSUBSCRIBE"])
def test_stop_opts_out_confirms_nothing_and_is_not_answered(keyword: str) -> None:
    """The open question ends, its payment goes to review, no label, no text; what waits is taken back too."""
    store = MemoryStore()
    asked(store, "txn_1")
    challenge_payment(store, "txn_2")
    texts = len(sent_bodies(store))
    assert say(store, keyword) is Result.OPTED_OUT
    for payment in ("txn_1", "txn_2"):
        assert challenge_of(store, payment).state is ChallengeState.OPTED_OUT
        assert status_of(store, payment) is Status.IN_REVIEW
        assert label_of(store, payment) is None
    assert store.opted_out_since(PHONE) == NOW_MS
    assert len(sent_bodies(store)) == texts
    assert say(store, "NO") is Result.LATE
    assert len(sent_bodies(store)) == texts


def test_start_clears_the_opt_out() -> None:
    """The holder may be asked again."""
    store = MemoryStore()
    asked(store, "txn_1")
    say(store, "STOP")
    assert say(store, "START") is Result.OPTED_IN
    assert store.opted_out_since(PHONE) is None
    assert say(store, "YES") is Result.REPEATED


def test_help_is_left_to_the_provider() -> None:
    """No text, no count as an unclear answer."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "HELP") is Result.HELP
    assert challenge_of(store, "txn_1").prompts == 0
    assert len(sent_bodies(store)) == 1


# Whose answer


def test_a_text_from_an_unknown_number_is_kept_and_not_answered() -> None:
    """It is stored; nothing goes out."""
    store = MemoryStore()
    asked(store, "txn_1")
    for body in ("YES", "NO", "hello", "START"):
        assert say(store, body, phone=OTHER_PHONE) is Result.UNMATCHED
    assert say(store, "STOP", phone=OTHER_PHONE) is Result.OPTED_OUT
    assert store.opted_out_since(OTHER_PHONE) == NOW_MS
    assert [m.body for m in store.conversation(OTHER_PHONE, limit=10)] == ["YES", "NO", "hello", "START", "STOP"]
    assert status_of(store, "txn_1") is Status.CHALLENGED


def test_an_answer_to_another_of_our_numbers_is_not_to_the_question() -> None:
    """Replies are matched by both numbers."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "YES", own_number="+12025550188") is Result.UNMATCHED
    assert status_of(store, "txn_1") is Status.CHALLENGED


def test_a_yes_from_a_number_the_account_has_given_up_releases_nothing() -> None:
    """The right phone is the account's of today."""
    store = MemoryStore()
    asked(store, "txn_1")
    account = store.account("user_001")
    assert account is not None
    moved = msgspec.structs.replace(account, phone_number=OTHER_PHONE, version=account.version + 1)
    assert store.apply([PutAccount(moved)]) is None
    assert say(store, "YES") is Result.PHONE_CHANGED
    assert status_of(store, "txn_1") is Status.IN_REVIEW


def test_a_card_number_in_a_reply_is_not_kept() -> None:
    """What came in is understood, then redacted."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "my card is 4111 1111 1111 1111") is Result.PROMPTED
    assert "4111" not in store.conversation(PHONE, limit=10)[-1].body + store.conversation(PHONE, limit=10)[0].body


def test_an_analysts_or_banks_label_is_not_replaced_by_a_reply() -> None:
    """A chargeback that came while the question stood keeps its word, and a YES against it releases nothing."""
    store = MemoryStore()
    asked(store, "txn_1")
    label_transaction(
        "txn_1",
        value=LabelValue.FRAUD,
        source=LabelSource.CHARGEBACK,
        note=None,
        replace=False,
        store=store,
        now_ms=NOW_MS,
    )
    assert say(store, "YES") is Result.REOPENED
    assert status_of(store, "txn_1") is Status.IN_REVIEW
    assert label_of(store, "txn_1") == (LabelValue.FRAUD, LabelSource.CHARGEBACK)


def test_a_word_that_the_provider_took_for_stop_is_one() -> None:
    """An account's own opt-out words are known to its provider alone, which sends no more texts after one."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert say(store, "BASTA", keyword="stop") is Result.OPTED_OUT
    assert store.opted_out_since(PHONE) == NOW_MS
