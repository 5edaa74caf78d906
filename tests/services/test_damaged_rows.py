"""One row that cannot be read holds up nothing else in the outbox."""

from pathlib import Path

import pytest

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import AddChallenge, AddMessage, AddTransaction, Change, PutAccount
from cardwatch.services.send_messages import DEAD_LETTER_CONSUMER, claim_messages
from tests.builders import NOW_MS, make_account, make_challenge, make_message, make_transaction
from tests.fakes.channel import ScriptedChannel


@pytest.mark.parametrize("table", ["messages", "challenges"])
def test_a_damaged_row_is_set_aside_and_the_others_go_out(tmp_path: Path, table: str) -> None:
    """The message itself, or the challenge that it is about; it is reported once."""
    store = SqliteStore(tmp_path / "cardwatch.db")
    assert store.apply([PutAccount(make_account())]) is None
    for number in (1, 2, 3):
        challenge = make_challenge(f"chl_{number}", transaction_id=f"txn_{number}", state=ChallengeState.ASKED)
        question = make_message(f"q{number}", challenge_id=f"chl_{number}", transaction_id=f"txn_{number}")
        changes: list[Change] = [
            AddTransaction(make_transaction(f"txn_{number}")),
            AddChallenge(challenge),
            AddMessage(question),
        ]
        assert store.apply(changes) is None
    key = {"messages": "message_id = 'q2'", "challenges": "challenge_id = 'chl_2'"}[table]
    store._database.run(f"UPDATE {table} SET body = CAST('{{' AS BLOB) WHERE {key}")  # noqa: S608 - the test's own names
    claims = claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=10)
    assert [claim.message.message_id for claim in claims] == ["q1", "q3"]
    assert [(one.consumer, one.payload) for one in store.dead_letters(limit=9)] == [(DEAD_LETTER_CONSUMER, "q2")]
    assert claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS, limit=10) == []
    store.close()
