"""One row that cannot be read holds up nothing else in the outbox."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import (
    AddChallenge,
    AddMessage,
    AddTransaction,
    Change,
    PutAccount,
    PutChallenge,
    successor,
)
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.transaction import Status
from cardwatch.features.engine import default_engine
from cardwatch.ports import DeadLetter
from cardwatch.services.erase_account import erase_account
from cardwatch.services.escalate_challenges import escalate_challenges
from cardwatch.services.expire_challenges import expire_challenges
from cardwatch.services.replay_dead_letters import Replayed, replay_dead_letter
from cardwatch.services.send_messages import DEAD_LETTER_CONSUMER, claim_messages
from tests.builders import NOW_MS, make_account, make_challenge, make_message, make_transaction
from tests.fakes.channel import ScriptedChannel
from tests.services.conversation import SENDER, TTL_MS, challenge_of, challenge_payment, status_of


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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Return a store with files, whose rows can be damaged."""
    with closing(SqliteStore(tmp_path / "cardwatch.db")) as opened:
        yield opened


def damage(store: SqliteStore, table: str, key: str) -> None:
    """Overwrite the body of one row."""
    column = {"challenges": "challenge_id", "transactions": "transaction_id", "accounts": "user_id"}[table]
    changed = store._database.run(f"UPDATE {table} SET body = CAST('{{' AS BLOB) WHERE {column} = ?", (key,))  # noqa: S608
    assert changed == 1


def ask_on_phones(store: SqliteStore, count: int) -> None:
    """Challenge a payment on each of several phones, in turn."""
    for number in range(1, count + 1):
        challenge_payment(
            store, f"txn_{number}", user_id=f"user_{number}", phone=f"+1202555010{number}", now_ms=NOW_MS + number
        )


def letters(store: SqliteStore) -> list[tuple[str, str, str]]:
    """Return consumer, key and payload of the dead letters."""
    return [(one.consumer, one.key, one.payload) for one in store.dead_letters(limit=9)]


def expire(store: SqliteStore, *, after_ms: int = TTL_MS + 9) -> tuple[str, ...]:
    """Run the expiry sweep."""
    return expire_challenges(store=store, sender=SENDER, now_ms=NOW_MS + after_ms, token="5a")


def escalate(store: SqliteStore, *, after_ms: int) -> tuple[str, ...]:
    """Run the escalation sweep."""
    return escalate_challenges(store=store, sender=SENDER, now_ms=NOW_MS + after_ms, token="5a")


def due_for_the_next_channel(store: SqliteStore, transaction_id: str) -> None:
    """Let a challenge's next step be due a second from now."""
    challenge = challenge_of(store, transaction_id)
    assert store.apply([PutChallenge(successor(challenge, act_at_ms=NOW_MS + 1000))]) is None


def test_an_unreadable_challenge_does_not_stop_the_others_from_expiring(store: SqliteStore) -> None:
    """It is set aside once, its payment goes to review and can be read again."""
    ask_on_phones(store, 3)
    damage(store, "challenges", "txn_1:challenge")
    assert expire(store) == ("txn_2:challenge", "txn_3:challenge")
    assert [status_of(store, f"txn_{number}") for number in (1, 2, 3)] == [Status.IN_REVIEW] * 3
    assert letters(store) == [("challenge", "txn_1", "txn_1:challenge")]
    assert store.expired_challenge_ids(now_ms=NOW_MS + 2 * TTL_MS, limit=10) == []
    assert (expire(store), len(letters(store))) == ((), 1)


def test_an_unreadable_challenge_does_not_stop_the_others_from_escalating(store: SqliteStore) -> None:
    """It is set aside; those behind it go on. Its question is not sent any more."""
    ask_on_phones(store, 2)
    for transaction_id in ("txn_1", "txn_2"):
        due_for_the_next_channel(store, transaction_id)
    damage(store, "challenges", "txn_1:challenge")
    assert escalate(store, after_ms=1000) == ("txn_2:challenge",)
    assert letters(store) == [("challenge", "txn_1", "txn_1:challenge")]
    assert store.challenge_ids_to_escalate(now_ms=NOW_MS + TTL_MS, limit=10) == []
    claims = claim_messages(store=store, channel=ScriptedChannel(), now_ms=NOW_MS + 1000, limit=10)
    assert [claim.message.challenge_id for claim in claims] == ["txn_2:challenge"]


def test_the_phone_of_an_unreadable_challenge_goes_on(store: SqliteStore) -> None:
    """Its next question is asked, with a code: a late YES may be about the one that was lost."""
    challenge_payment(store, "txn_1")
    challenge_payment(store, "txn_2", now_ms=NOW_MS + TTL_MS // 2)
    damage(store, "challenges", "txn_1:challenge")
    assert expire(store) == ()
    following = challenge_of(store, "txn_2")
    assert (following.state, following.code is not None) == (ChallengeState.ASKED, True)


def test_a_question_about_an_unreadable_payment_ends_with_its_life(store: SqliteStore) -> None:
    """It holds its phone no longer; once the payment can be read again, its dead letter takes it to review."""
    challenge_payment(store, "txn_1")
    challenge_payment(store, "txn_2", now_ms=NOW_MS + TTL_MS // 2)
    [(sound,)] = store._database.all("SELECT body FROM transactions WHERE transaction_id = 'txn_1'")
    damage(store, "transactions", "txn_1")
    assert expire(store) == ("txn_1:challenge",)
    ended = store.challenge("txn_1:challenge")
    assert ended is not None
    assert ended.state is ChallengeState.EXPIRED
    assert challenge_of(store, "txn_2").state is ChallengeState.ASKED
    assert letters(store) == [("challenge", "txn_1", "txn_1:challenge")]
    [letter] = store.dead_letters(limit=9)
    with pytest.raises(StoreCorrupt):
        replay(letter, store)
    store._database.run("UPDATE transactions SET body = ? WHERE transaction_id = 'txn_1'", (sound,))
    assert (replay(letter, store), status_of(store, "txn_1")) == (Replayed.DONE, Status.IN_REVIEW)
    assert letters(store) == []


def replay(letter: DeadLetter, store: SqliteStore) -> Replayed:
    """Take a dead letter up again."""
    return replay_dead_letter(letter, store=store, engine=default_engine(), sender=SENDER, now_ms=NOW_MS + TTL_MS)


def test_a_letter_about_a_settled_payment_asks_for_nothing(store: SqliteStore) -> None:
    """Nothing is counted twice, and no payment is moved that stands elsewhere."""
    ask_on_phones(store, 1)
    damage(store, "challenges", "txn_1:challenge")
    expire(store)
    [letter] = store.dead_letters(limit=9)
    entries = len(store.log(after=0, limit=100))
    assert (replay(letter, store), letters(store)) == (Replayed.NOTHING, [])
    assert len(store.log(after=0, limit=100)) == entries


@pytest.mark.parametrize(("table", "key"), [("transactions", "txn_1"), ("accounts", "user_1")])
def test_what_cannot_be_read_about_a_question_is_not_looked_at_again_and_again(
    store: SqliteStore, table: str, key: str
) -> None:
    """The escalation leaves such a question to the end of its life, in one write."""
    ask_on_phones(store, 1)
    due_for_the_next_channel(store, "txn_1")
    damage(store, table, key)
    escalate(store, after_ms=1000)
    assert store.challenge_ids_to_escalate(now_ms=NOW_MS + TTL_MS, limit=10) == []
    assert expire(store) == ("txn_1:challenge",)


def test_an_unreadable_neighbour_does_not_keep_a_question_open(store: SqliteStore) -> None:
    """The question ends; the neighbour, once its own life ends, is set aside."""
    challenge_payment(store, "txn_1")
    challenge_payment(store, "txn_2", now_ms=NOW_MS + TTL_MS // 2)
    damage(store, "challenges", "txn_2:challenge")
    assert expire(store) == ("txn_1:challenge",)
    assert expire(store, after_ms=2 * TTL_MS) == ()
    assert [status_of(store, key) for key in ("txn_1", "txn_2")] == [Status.IN_REVIEW] * 2


def test_erasing_an_account_takes_what_was_set_aside(store: SqliteStore, tmp_path: Path) -> None:
    """Nothing of it is left in the file."""
    ask_on_phones(store, 1)
    body = b'{"phone":"+12025550101","broken'
    store._database.run("UPDATE challenges SET body = ?", (body,))
    expire(store)
    assert store._database.all("SELECT challenge_id, body FROM set_aside_challenges") == [("txn_1:challenge", body)]
    assert erase_account("user_1", store=store, sender=SENDER, now_ms=NOW_MS, token="e7a5e")
    store.scrub()
    assert b"+12025550101" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
