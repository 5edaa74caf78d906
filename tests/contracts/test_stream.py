"""The contract of the change log, its consumers' cursors, and dead letters."""

import pytest

from cardwatch.domain.challenge import ChallengeState
from cardwatch.domain.changes import (
    AddChallenge,
    AddDeadLetter,
    AddLabel,
    AddMessage,
    AddTransaction,
    Change,
    DecideTransaction,
    MoveTransaction,
    PutAccount,
    PutChallenge,
    PutState,
    RemoveDeadLetter,
    SetCursor,
)
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.transaction import Status
from cardwatch.ports import LogEntry, Store
from tests.builders import (
    NOW_MS,
    make_account,
    make_challenge,
    make_decision,
    make_label,
    make_message,
    make_transaction,
)


def record(store: Store, *numbers: int) -> None:
    """Record payments, one list each."""
    for number in numbers:
        assert store.apply([AddTransaction(make_transaction(f"txn_{number}"))]) is None


def test_each_change_of_a_payment_is_logged_in_order(store: Store) -> None:
    """One entry per payment, decision, move, challenge and label, in the order of the changes; none for the rest."""
    changes: list[Change] = [
        PutAccount(make_account()),
        AddTransaction(make_transaction()),
        DecideTransaction("txn_1", make_decision(), Status.CHALLENGED),
        AddChallenge(make_challenge()),
        AddMessage(make_message()),
        PutChallenge(make_challenge(state=ChallengeState.ASKED, version=2)),
        PutState("account", "user_001", 1, b"one"),
        MoveTransaction("txn_1", Status.CHALLENGED, Status.DECLINED, "cardholder_denied"),
        AddLabel(make_label(), None),
        SetCursor("score", 0, 1),
        AddDeadLetter("score", "txn_1", "broken", "{}", NOW_MS),
    ]
    assert store.apply(changes) is None
    assert store.log(after=0, limit=100) == [
        LogEntry(1, "transaction.recorded", "txn_1", "pending"),
        LogEntry(2, "transaction.decided", "txn_1", "challenged"),
        LogEntry(3, "challenge.added", "txn_1", "queued"),
        LogEntry(4, "challenge.changed", "txn_1", "asked"),
        LogEntry(5, "transaction.moved", "txn_1", "declined:cardholder_denied"),
        LogEntry(6, "label.added", "txn_1", "fraud:analyst:"),
    ]


def test_a_label_is_logged_with_the_one_before_it(store: Store) -> None:
    """Value, source and earlier value; a label whose effect is among the same changes under a kind of its own."""
    record(store, 1, 2)
    taken_back = make_label(value=LabelValue.GENUINE, source=LabelSource.CHARGEBACK)
    changes: list[Change] = [
        AddLabel(make_label(), None),
        AddLabel(taken_back, LabelSource.ANALYST),
        AddLabel(make_label("txn_2"), None, applied=True),
    ]
    assert store.apply(changes) is None
    assert store.log(after=2, limit=9) == [
        LogEntry(3, "label.added", "txn_1", "fraud:analyst:"),
        LogEntry(4, "label.added", "txn_1", "genuine:chargeback:fraud"),
        LogEntry(5, "label.imported", "txn_2", "fraud:analyst:"),
    ]


def test_the_log_is_read_in_parts(store: Store) -> None:
    """Up to the limit after a position, so that a consumer goes on where it stood."""
    record(store, *range(5))
    assert [entry.key for entry in store.log(after=0, limit=2)] == ["txn_0", "txn_1"]
    assert [entry.key for entry in store.log(after=2, limit=10)] == ["txn_2", "txn_3", "txn_4"]
    assert store.log(after=5, limit=10) == []


def test_a_cursor_moves_with_its_effects(store: Store) -> None:
    """When the cursor was moved by another, the effects of the same list do not happen."""
    record(store, 1)
    decide = DecideTransaction("txn_1", make_decision(), Status.APPROVED)
    stale = SetCursor("score", 5, 6)
    assert store.apply([decide, stale]) is stale
    undecided = store.transaction("txn_1")
    assert undecided is not None
    assert undecided.status is Status.PENDING
    assert store.apply([decide, SetCursor("score", 0, 1)]) is None
    assert store.cursor("score") == 1


def test_cursors_are_apart(store: Store) -> None:
    """Each consumer has its own position, 0 until it moves, and may be set back for a replay."""
    assert store.cursor("score") == 0
    assert store.apply([SetCursor("score", 0, 7), SetCursor("notify", 0, 3)]) is None
    assert (store.cursor("score"), store.cursor("notify")) == (7, 3)
    assert store.apply([SetCursor("score", 7, 0)]) is None
    assert store.apply([SetCursor("score", 0, 2)]) is None
    assert (store.cursor("score"), store.cursor("notify")) == (2, 3)


def test_dead_letters_are_kept_until_removed(store: Store) -> None:
    """Listed oldest first with all they carry; ids are not given twice."""
    letters = [AddDeadLetter("score", f"txn_{n}", "broken", "{}", NOW_MS + n) for n in range(3)]
    assert store.apply(letters) is None
    listed = store.dead_letters(limit=10)
    assert [(letter.key, letter.at_ms) for letter in listed] == [(f"txn_{n}", NOW_MS + n) for n in range(3)]
    assert (listed[0].consumer, listed[0].cause, listed[0].payload) == ("score", "broken", "{}")
    assert store.dead_letters(limit=2) == listed[:2]
    newest = listed[-1].dead_letter_id
    assert store.apply([RemoveDeadLetter(newest)]) is None
    assert store.dead_letters(limit=10) == listed[:2]
    assert store.apply([letters[0]]) is None
    assert store.dead_letters(limit=10)[-1].dead_letter_id > newest


def test_trimming_forgets_what_every_cursor_has_passed(store: Store) -> None:
    """Entries below the position go, but never one that a cursor has still to read."""
    record(store, *range(10))
    assert store.apply([SetCursor("score", 0, 6), SetCursor("notify", 0, 4)]) is None
    assert store.trim_log(below=4) == 3
    assert store.trim_log(below=100) == 1
    assert [entry.sequence for entry in store.log(after=0, limit=100)] == [5, 6, 7, 8, 9, 10]
    assert store.trim_log(below=100) == 0


def test_trimmed_positions_are_not_given_again(store: Store) -> None:
    """A consumer that stands at the end of a trimmed log sees what comes next."""
    record(store, *range(3))
    assert store.apply([SetCursor("score", 0, 3)]) is None
    assert store.trim_log(below=4) == 3
    record(store, 7)
    assert [(entry.sequence, entry.key) for entry in store.log(after=3, limit=10)] == [(4, "txn_7")]


def test_trimming_in_a_group_is_part_of_it(store: Store) -> None:
    """What a group trimmed comes back when the group is rolled back."""
    record(store, *range(3))

    def trim_and_fail() -> None:
        with store.group():
            assert store.trim_log(below=3) == 2
            raise KeyError("stop")

    with pytest.raises(KeyError):
        trim_and_fail()
    assert [entry.sequence for entry in store.log(after=0, limit=10)] == [1, 2, 3]
