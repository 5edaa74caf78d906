"""An erasure leaves nobody's question in the way, and no late YES to a question that it took releases another."""

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import EraseAccount, PutAccount
from cardwatch.domain.transaction import Status
from cardwatch.services.reply_turn import Result
from tests.builders import NOW_MS, make_account
from tests.services.conversation import HOUR_MS, asked, challenge_payment, say, status_of


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
