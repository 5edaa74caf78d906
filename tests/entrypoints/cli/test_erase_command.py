"""`cardwatch accounts erase` leaves nobody waiting for what it erased."""

from contextlib import closing
from pathlib import Path

import pytest

from cardwatch.adapters.channels.provider import SIMULATED_NUMBER
from cardwatch.adapters.clock import FixedClock
from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.transaction import Status
from cardwatch.entrypoints.cli.app import run
from tests.builders import NOW_MS
from tests.services.conversation import challenge_of, challenge_payment, question_id, status_of


def test_erasing_asks_the_next_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The erased account's payment goes to review; on its telephone the next account is asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CARDWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("cardwatch.entrypoints.cli.accounts.system_clock", lambda: FixedClock(NOW_MS))
    with closing(SqliteStore(tmp_path / "cardwatch.db")) as store:
        for number in (1, 2):
            challenge_payment(store, f"txn_{number}", user_id=f"user_00{number}")
    assert run(["accounts", "erase", "user_001", "--yes"]) == 0
    assert "the personal data of user_001 is erased" in capsys.readouterr().out
    with closing(SqliteStore(tmp_path / "cardwatch.db")) as store:
        assert status_of(store, "txn_1") is Status.IN_REVIEW
        following = challenge_of(store, "txn_2")
        question = store.message(question_id(following))
        assert (following.state, following.code is not None) == (ChallengeState.ASKED, True)
        assert question is not None
        assert question.own_address == SIMULATED_NUMBER
    assert run(["accounts", "erase", "user_001", "--yes"]) != 0
