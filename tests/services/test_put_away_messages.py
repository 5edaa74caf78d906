"""What lies in the outbox for a channel that is not configured ends with its life, and is not lost from sight."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.changes import AddMessage
from cardwatch.domain.message import LIFE_WITHOUT_EXPIRY_MS, Message, MessageKind, MessageState
from cardwatch.ports import Store
from cardwatch.services.put_away_messages import CHANNELS, NOT_CONFIGURED, missing_channels, put_away_messages
from cardwatch.services.reach import Sender
from tests.builders import NOW_MS, OWN_NUMBER, make_message
from tests.contracts.backends import BACKENDS, QUICK_FIRST

END_MS = NOW_MS + 1_800_000


@pytest.fixture(params=QUICK_FIRST)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Yield an empty store of each backend."""
    opened = BACKENDS[request.param](tmp_path)
    yield opened
    opened.close()


def left(store: Store, **fields: object) -> Message:
    """Leave a message for a channel in the outbox."""
    message = make_message("m1", **{"channel": "email", **fields})
    assert store.apply([AddMessage(message)]) is None
    return message


def standing(store: Store) -> tuple[MessageState, str | None]:
    """Return how the message stands."""
    message = store.message("m1")
    assert message is not None
    return message.state, message.error


@pytest.mark.parametrize("state", [MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN])
def test_what_has_outlived_its_life_is_expired(store: Store, state: MessageState) -> None:
    """Not a moment before; afterwards it is not due any more."""
    left(store, state=state)
    assert put_away_messages(["m1"], store=store, now_ms=END_MS - 1) == 0
    assert standing(store) == (state, None)
    assert put_away_messages(["m1"], store=store, now_ms=END_MS) == 1
    assert standing(store) == (MessageState.EXPIRED, NOT_CONFIGURED)
    assert list(store.due_message_ids(channel="email", now_ms=END_MS, limit=9)) == []
    assert list(store.dead_letters(limit=9)) == []
    assert put_away_messages(["m1", "nobody"], store=store, now_ms=END_MS) == 0


def test_what_names_no_end_lives_for_three_days(store: Store) -> None:
    """As where it is sent."""
    left(store, expires_at_ms=None)
    assert put_away_messages(["m1"], store=store, now_ms=NOW_MS + LIFE_WITHOUT_EXPIRY_MS - 1) == 0
    assert put_away_messages(["m1"], store=store, now_ms=NOW_MS + LIFE_WITHOUT_EXPIRY_MS) == 1


def test_a_callback_becomes_a_dead_letter(store: Store) -> None:
    """An operator can see what the payment system was never told."""
    left(store, channel="callback", kind=MessageKind.CALLBACK)
    assert put_away_messages(["m1"], store=store, now_ms=END_MS) == 1
    (letter,) = store.dead_letters(limit=9)
    assert (letter.key, letter.cause, letter.payload) == ("txn_1", NOT_CONFIGURED, "m1")


def test_a_message_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    """It is set aside with a dead letter, once."""
    path = tmp_path / "cardwatch.db"
    store = SqliteStore(path)
    left(store)
    assert store.apply([AddMessage(make_message("m2", channel="email"))]) is None
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE messages SET body = x'c1' WHERE message_id = 'm1'")
    store = SqliteStore(path)
    due = store.due_message_ids(channel="email", now_ms=END_MS, limit=9)
    assert sorted(due) == ["m1", "m2"]
    assert put_away_messages(due, store=store, now_ms=END_MS) == 2
    (letter,) = store.dead_letters(limit=9)
    assert letter.payload == "m1"
    assert list(store.due_message_ids(channel="email", now_ms=END_MS, limit=9)) == []
    store.close()


def test_only_channels_that_nobody_works_off_are_missing() -> None:
    """Texts always go somewhere, to the simulated phone at least."""
    sender = Sender(institution="Cardwatch", own_number=OWN_NUMBER, others={"email": "a@b.example", "alert": ""})
    assert set(CHANNELS) == {"sms", "email", "push", "callback", "alert"}
    assert missing_channels(sender) == ("push", "callback")
