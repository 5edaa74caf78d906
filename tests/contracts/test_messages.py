"""The contract of reading texts: the outbox, and what was said."""

import pytest

from cardwatch.domain.changes import AddMessage, PutMessage, PutOptOut, SetAsideMessage
from cardwatch.domain.message import TO_DO, Message, MessageState
from cardwatch.ports import Store
from tests.builders import NOW_MS, OTHER_PHONE, PHONE, make_message, make_reply


def add(store: Store, *messages: Message) -> None:
    """Add texts one by one."""
    for message in messages:
        assert store.apply([AddMessage(message)]) is None


def ids(messages: object) -> list[str]:
    """Return the ids of texts."""
    assert isinstance(messages, list)
    return [message.message_id for message in messages]


def due(store: Store, *, now_ms: int = NOW_MS, limit: int = 10) -> list[str]:
    """Return the ids of texts that are due."""
    return list(store.due_message_ids(channel="sms", now_ms=now_ms, limit=limit))


def test_a_text_comes_back_as_put(store: Store) -> None:
    """The latest version counts; an unknown id is None."""
    sent = make_message(state=MessageState.SENT, provider_sid="SM1", attempts=1, sent_at_ms=NOW_MS, version=2)
    add(store, make_message())
    assert store.apply([PutMessage(sent)]) is None
    assert store.message(sent.message_id) == sent
    assert store.message("absent") is None


def test_a_reply_is_taken_once(store: Store) -> None:
    """The provider delivers a reply again and again; only the first is kept."""
    add(store, make_reply(body="YES"))
    again = AddMessage(make_reply(body="YES"))
    assert store.apply([again]) is again
    assert store.conversation(PHONE, limit=10) == [make_reply(body="YES")]


@pytest.mark.parametrize("state", list(MessageState))
def test_due_texts_are_those_that_need_work(store: Store, state: MessageState) -> None:
    """Outbound texts in queued, sending or unknown state are due at their time, others never."""
    add(store, make_message(state=state, due_at_ms=NOW_MS), make_reply())
    assert due(store) == (["chl_1:question"] if state in TO_DO else [])
    assert due(store, now_ms=NOW_MS - 1, limit=10) == []


def test_due_texts_come_oldest_due_first(store: Store) -> None:
    """Up to the limit, in order of the time from which they were due."""
    add(
        store,
        make_message("third", due_at_ms=NOW_MS, created_at_ms=NOW_MS - 9),
        make_message("first", due_at_ms=NOW_MS - 2),
        make_message("second", due_at_ms=NOW_MS - 1, state=MessageState.UNKNOWN),
        make_message("not yet", due_at_ms=NOW_MS + 1),
    )
    assert due(store) == ["first", "second", "third"]
    assert due(store, now_ms=NOW_MS, limit=2) == ["first", "second"]


def test_a_text_leaves_and_reenters_the_outbox(store: Store) -> None:
    """Being sent takes it out; being provably not taken brings it back at its new time."""
    add(store, make_message())
    accepted = make_message(state=MessageState.ACCEPTED, version=2)
    again = make_message(state=MessageState.QUEUED, due_at_ms=NOW_MS + 60_000, version=3)
    assert store.apply([PutMessage(accepted)]) is None
    assert due(store, now_ms=NOW_MS * 2, limit=10) == []
    assert store.apply([PutMessage(again)]) is None
    assert due(store, now_ms=NOW_MS + 59_999, limit=10) == []
    assert due(store, now_ms=NOW_MS + 60_000, limit=10) == ["chl_1:question"]


def test_a_conversation_is_the_latest_oldest_first(store: Store) -> None:
    """Both directions of one phone; the limit keeps the newest."""
    add(
        store,
        make_message("1", created_at_ms=NOW_MS),
        make_reply("3", created_at_ms=NOW_MS + 2),
        make_reply("2", created_at_ms=NOW_MS + 1),
        make_message("elsewhere", address=OTHER_PHONE),
    )
    assert ids(store.conversation(PHONE, limit=10)) == ["1", "2", "3"]
    assert ids(store.conversation(PHONE, limit=2)) == ["2", "3"]
    assert ids(store.conversation("+10000000000", limit=2)) == []


def test_each_channel_has_a_line_of_its_own(store: Store) -> None:
    """A worker sees its own channel's messages alone."""
    add(store, make_message("text"), make_message("mail", channel="email", address="ada@example.com"))
    assert due(store) == ["text"]
    assert list(store.due_message_ids(channel="email", now_ms=NOW_MS, limit=10)) == ["mail"]
    assert list(store.due_message_ids(channel="push", now_ms=NOW_MS, limit=10)) == []


def test_what_is_set_aside_is_due_no_more(store: Store) -> None:
    """It stays as it is, and can be set aside once."""
    add(store, make_message())
    change = SetAsideMessage("chl_1:question")
    assert store.apply([change]) is None
    assert due(store) == []
    assert store.message("chl_1:question") == make_message()
    assert store.apply([change]) is change
    absent = SetAsideMessage("absent")
    assert store.apply([absent]) is absent


def test_messages_about_a_challenge_are_all_of_them_oldest_first(store: Store) -> None:
    """Every channel, both directions; those about other challenges or none are not among them."""
    add(
        store,
        make_message("1"),
        make_reply("3", challenge_id="chl_1", created_at_ms=NOW_MS + 2),
        make_message("2", channel="email", address="ada@example.com", created_at_ms=NOW_MS + 1),
        make_message("other", challenge_id="chl_2"),
        make_reply("stray"),
    )
    assert ids(store.messages_about("chl_1")) == ["1", "2", "3"]
    assert ids(store.messages_about("absent")) == []


def test_an_opt_out_belongs_to_its_number(store: Store) -> None:
    """The latest word counts, and ends it too."""
    assert store.opted_out_since(PHONE) is None
    assert store.apply([PutOptOut(PHONE, NOW_MS)]) is None
    assert store.apply([PutOptOut(PHONE, NOW_MS + 1)]) is None
    assert store.opted_out_since(PHONE) == NOW_MS + 1
    assert store.opted_out_since(OTHER_PHONE) is None
    for _ in range(2):
        assert store.apply([PutOptOut(PHONE, None)]) is None
    assert store.opted_out_since(PHONE) is None
