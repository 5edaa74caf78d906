"""An erasure leaves nobody's question in the way, and no late YES to a question that it took releases another."""

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import EraseAccount, PutAccount
from cardwatch.domain.transaction import Status
from cardwatch.services.erase_account import erase_account
from cardwatch.services.reply_turn import Result
from tests.builders import NOW_MS, make_account
from tests.services.conversation import (
    HOUR_MS,
    SENDER,
    TTL_MS,
    asked,
    challenge_of,
    challenge_payment,
    say,
    send_all,
    status_of,
)


def test_a_late_yes_to_an_erased_question_releases_nothing() -> None:
    """On a shared telephone: the next account's question carries a code, though its history looks empty."""
    store = MemoryStore()
    asked(store, "txn_1", user_id="user_001")
    assert store.apply([EraseAccount("user_001", NOW_MS)]) is None
    question = asked(store, "txn_2", user_id="user_002")
    assert question.code is not None
    assert say(store, "YES") is Result.CODE_NEEDED
    assert status_of(store, "txn_2") is Status.CHALLENGED
    assert say(store, f"YES {question.code}") is Result.CONFIRMED


def test_a_late_yes_to_ones_own_erased_question_releases_nothing() -> None:
    """The same holder again, under the same id and number."""
    store = MemoryStore()
    asked(store, "txn_1")
    assert store.apply([EraseAccount("user_001", NOW_MS), PutAccount(make_account())]) is None
    assert asked(store, "txn_2").code is not None
    assert say(store, "YES") is Result.CODE_NEEDED


@pytest.mark.parametrize(("after_ms", "bare"), [(0, False), (34 * HOUR_MS, False), (34 * HOUR_MS + 1, True)])
def test_questions_are_bare_again_long_after_an_erasure(after_ms: int, *, bare: bool) -> None:
    """Once nothing of before can be answered late: the longest life and a day after the latest erasure."""
    store = MemoryStore()
    for user_id, at_ms in (("user_008", NOW_MS), ("user_009", NOW_MS - 1)):
        assert store.apply([PutAccount(make_account(user_id)), EraseAccount(user_id, at_ms)]) is None
    assert (challenge_payment(store, "txn_1", now_ms=NOW_MS + after_ms).code is None) is bare


def erase(store: MemoryStore, user_id: str, *, now_ms: int = NOW_MS) -> bool:
    """Erase an account with all that follows."""
    return erase_account(user_id, store=store, sender=SENDER, now_ms=now_ms, token="e7a5e")


def test_the_queue_behind_an_erased_question_moves_on() -> None:
    """Its payment goes to review, and the next account's question on the shared telephone is asked, with a code."""
    store = MemoryStore()
    asked(store, "txn_1", user_id="user_001")
    challenge_payment(store, "txn_2", user_id="user_002")
    assert erase(store, "user_001")
    assert (challenge_of(store, "txn_1").state, status_of(store, "txn_1")) == (
        ChallengeState.CANCELLED,
        Status.IN_REVIEW,
    )
    following = challenge_of(store, "txn_2")
    assert following.state is ChallengeState.ASKED
    send_all(store)
    assert say(store, "YES") is Result.CODE_NEEDED
    assert say(store, f"YES {following.code}") is Result.CONFIRMED


def test_every_open_question_of_an_erased_account_is_taken_back() -> None:
    """Those that waited too; nothing of them is asked, sent or kept open."""
    store = MemoryStore()
    for number in range(3):
        challenge_payment(store, f"txn_{number}")
    assert erase(store, "user_001")
    for number in range(3):
        assert challenge_of(store, f"txn_{number}").state is ChallengeState.CANCELLED
        assert status_of(store, f"txn_{number}") is Status.IN_REVIEW
    assert store.account("user_001") is None
    assert send_all(store).took == {}
    assert store.expired_challenge_ids(now_ms=NOW_MS + TTL_MS, limit=10) == []


def test_an_erased_question_that_waited_leaves_the_standing_one() -> None:
    """Another account's question stands on; nothing else is asked beside it."""
    store = MemoryStore()
    standing = asked(store, "txn_1", user_id="user_001")
    challenge_payment(store, "txn_2", user_id="user_002")
    challenge_payment(store, "txn_3", user_id="user_003")
    assert erase(store, "user_002")
    assert challenge_of(store, "txn_1") == standing
    assert challenge_of(store, "txn_3").state is ChallengeState.QUEUED


def test_an_unknown_account_is_not_erased() -> None:
    """Nor one that was erased already."""
    store = MemoryStore()
    assert not erase(store, "user_001")
    assert store.apply([PutAccount(make_account())]) is None
    assert (erase(store, "user_001"), erase(store, "user_001")) == (True, False)
