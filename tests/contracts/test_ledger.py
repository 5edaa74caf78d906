"""The contract of writing: all or nothing, each condition, groups."""

from collections.abc import Sequence

import msgspec
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
    EraseAccount,
    IllegalMove,
    MoveTransaction,
    PutAccount,
    PutChallenge,
    PutMessage,
    PutOptOut,
    PutState,
    RemoveDeadLetter,
    SetAsideChallenge,
    SetCursor,
)
from cardwatch.domain.label import LabelSource
from cardwatch.domain.message import MessageKind, MessageState
from cardwatch.domain.transaction import Status
from cardwatch.ports import Store
from tests.builders import (
    NOW_MS,
    OTHER_PHONE,
    PHONE,
    make_account,
    make_challenge,
    make_decision,
    make_label,
    make_message,
    make_reply,
    make_transaction,
)
from tests.contracts.reads import everything

ASKED = make_challenge(state=ChallengeState.ASKED, asked_at_ms=NOW_MS, version=2)

WORLD: tuple[Change, ...] = (
    PutAccount(make_account()),
    AddTransaction(make_transaction()),
    DecideTransaction("txn_1", make_decision(), Status.CHALLENGED),
    AddChallenge(make_challenge()),
    AddMessage(make_message()),
    AddLabel(make_label(), None),
    PutState("account", "user_001", 1, b"one"),
    SetCursor("score", 0, 3),
    AddDeadLetter("score", "txn_0", "broken", "{}", NOW_MS),
    AddTransaction(make_transaction("txn_2")),
)
"""A store with one of everything; txn_1 is challenged and txn_2 pending."""

HOLDS: tuple[Change, ...] = (
    AddTransaction(make_transaction("txn_3")),
    DecideTransaction("txn_2", make_decision(), Status.APPROVED),
    MoveTransaction("txn_1", Status.CHALLENGED, Status.DECLINED, "cardholder_denied"),
    PutState("account", "user_001", 2, b"two"),
    PutState("merchant", "corner cafe", 1, b"one"),
    PutAccount(make_account(version=2, name="Ada Other")),
    PutAccount(make_account("user_002", phone_number=OTHER_PHONE)),
    AddChallenge(make_challenge("chl_2", transaction_id="txn_2")),
    PutChallenge(ASKED),
    AddMessage(make_reply()),
    PutMessage(make_message(state=MessageState.SENDING, attempts=1, version=2)),
    AddLabel(make_label(source=LabelSource.CHARGEBACK), LabelSource.ANALYST),
    AddLabel(make_label("txn_2"), None),
    AddLabel(make_label("txn_2"), None, applied=True),
    SetCursor("score", 3, 4),
    SetCursor("notify", 0, 9),
    AddDeadLetter("notify", "SM1", "broken", "{}", NOW_MS),
    RemoveDeadLetter(1),
    SetAsideChallenge("chl_1", NOW_MS),
    EraseAccount("user_001", NOW_MS),
)
"""Changes that hold on WORLD, each alone."""

UNMET: tuple[Change, ...] = (
    AddTransaction(make_transaction("txn_1", merchant="Another")),
    DecideTransaction("txn_1", make_decision(), Status.APPROVED),
    DecideTransaction("absent", make_decision(), Status.APPROVED),
    MoveTransaction("txn_1", Status.IN_REVIEW, Status.DECLINED, "analyst_fraud"),
    MoveTransaction("absent", Status.IN_REVIEW, Status.DECLINED, "analyst_fraud"),
    PutState("account", "user_001", 1, b"again"),
    PutState("account", "user_001", 3, b"skipped"),
    PutState("account", "user_002", 2, b"absent"),
    PutAccount(make_account(version=1)),
    PutAccount(make_account(version=3)),
    PutAccount(make_account("user_002", version=2)),
    EraseAccount("user_002", NOW_MS),
    AddChallenge(make_challenge("chl_1", transaction_id="txn_2")),
    AddChallenge(make_challenge("chl_2", transaction_id="absent")),
    PutChallenge(make_challenge(state=ChallengeState.ASKED, version=1)),
    PutChallenge(make_challenge(state=ChallengeState.ASKED, version=3)),
    PutChallenge(make_challenge("absent", version=1)),
    SetAsideChallenge("absent", NOW_MS),
    AddMessage(make_message(body="again")),
    PutMessage(make_message(version=1)),
    PutMessage(make_message(version=3)),
    PutMessage(make_message("absent", version=1)),
    AddLabel(make_label(), None),
    AddLabel(make_label(), LabelSource.CARDHOLDER),
    AddLabel(make_label("txn_2"), LabelSource.ANALYST),
    AddLabel(make_label("absent"), None),
    SetCursor("score", 0, 4),
    SetCursor("score", 4, 5),
    SetCursor("notify", 1, 2),
    RemoveDeadLetter(99),
)
"""Changes whose condition does not hold on WORLD."""

ILLEGAL: tuple[Change, ...] = (
    DecideTransaction("txn_2", make_decision(), Status.PENDING),
    MoveTransaction("txn_1", Status.CHALLENGED, Status.PENDING, "undone"),
    MoveTransaction("txn_1", Status.APPROVED, Status.DECLINED, "direct"),
    MoveTransaction("txn_1", Status.CHALLENGED, Status.CHALLENGED, "nothing"),
    PutChallenge(make_challenge(state=ChallengeState.CONFIRMED, version=2)),
    PutChallenge(make_challenge(state=ChallengeState.DENIED, version=2)),
)
"""Moves that the domain does not know."""


def name_of(change: Change) -> str:
    """Return a test id."""
    return type(change).__name__


def read_all(store: Store) -> dict[str, object]:
    """Read everything that these tests write."""
    return everything(store, user_ids=("user_001", "user_002"), challenge_ids=("chl_1", "chl_2"))


@pytest.fixture
def world(store: Store) -> Store:
    """Return a store with one of everything."""
    assert store.apply(WORLD) is None
    return store


@pytest.mark.parametrize("change", HOLDS, ids=name_of)
def test_a_change_whose_condition_holds_is_applied(world: Store, change: Change) -> None:
    """Each change is applied alone and changes what can be read."""
    before = read_all(world)
    assert world.apply([change]) is None
    assert read_all(world) != before


@pytest.mark.parametrize("change", UNMET, ids=name_of)
def test_an_unmet_condition_is_returned(world: Store, change: Change) -> None:
    """A change whose condition does not hold is returned, and nothing is written."""
    before = read_all(world)
    assert world.apply([change]) is change
    assert read_all(world) == before


@pytest.mark.parametrize("change", ILLEGAL, ids=name_of)
def test_an_illegal_move_is_raised(world: Store, change: Change) -> None:
    """A move that the domain does not know is a fault of the caller, and nothing of the list stays."""
    before = read_all(world)
    with pytest.raises(IllegalMove):
        world.apply([HOLDS[0], change])
    assert read_all(world) == before


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in a group"])
@pytest.mark.parametrize("change", UNMET, ids=name_of)
def test_all_or_nothing(world: Store, change: Change, position: int, *, grouped: bool) -> None:
    """A change that loses at any position takes the whole list with it, the change log included."""
    good: list[Change] = [
        AddTransaction(make_transaction("txn_9")),
        PutState("merchant", "corner cafe", 1, b"one"),
        AddDeadLetter("score", "txn_9", "broken", "{}", NOW_MS),
    ]
    before = read_all(world)
    changes = [*good[:position], change, *good[position:]]
    if grouped:
        with world.group():
            assert world.apply(changes) is change
    else:
        assert world.apply(changes) is change
    assert read_all(world) == before


def test_what_was_undone_leaves_no_gap(world: Store) -> None:
    """The positions of a list that lost are given to the next one that holds."""
    last = world.log(after=0, limit=100)[-1].sequence
    assert world.apply([AddTransaction(make_transaction("txn_9")), UNMET[0]]) is UNMET[0]
    assert world.apply([AddTransaction(make_transaction("txn_9"))]) is None
    assert [entry.sequence for entry in world.log(after=last, limit=100)] == [last + 1]


def test_later_changes_see_earlier_ones(store: Store) -> None:
    """One list may record, decide, and move a payment, and raise a version twice."""
    changes: Sequence[Change] = [
        AddTransaction(make_transaction()),
        DecideTransaction("txn_1", make_decision(), Status.CHALLENGED),
        MoveTransaction("txn_1", Status.CHALLENGED, Status.APPROVED, "cardholder_confirmed"),
        PutState("account", "user_001", 1, b"one"),
        PutState("account", "user_001", 2, b"two"),
        SetCursor("score", 0, 1),
        SetCursor("score", 1, 2),
    ]
    assert store.apply(changes) is None
    record = store.transaction("txn_1")
    assert record is not None
    assert record.status is Status.APPROVED
    assert store.states([("account", "user_001")]) == [(2, b"two")]
    assert store.cursor("score") == 2


def test_the_first_that_lost_is_returned(world: Store) -> None:
    """Of several unmet conditions the first in the list is named; a list that lost raises nothing after it."""
    assert world.apply([UNMET[1], UNMET[0], ILLEGAL[0]]) is UNMET[1]


def test_an_empty_list_holds(store: Store) -> None:
    """Applying nothing is no fault, alone or in a group."""
    assert store.apply([]) is None
    with store.group():
        assert store.apply([]) is None


def test_a_decision_is_given_once(world: Store) -> None:
    """A second decision loses, and the first stands as it was."""
    first = DecideTransaction("txn_2", make_decision(score=0.1), Status.APPROVED)
    second = DecideTransaction("txn_2", make_decision(score=0.9), Status.DECLINED)
    assert world.apply([first]) is None
    assert world.apply([second]) is second
    record = world.transaction("txn_2")
    assert record is not None
    assert record.decision == first.decision
    assert record.status is Status.APPROVED


def test_a_group_keeps_what_was_applied(store: Store) -> None:
    """Inside a group its effects are read at once; after it they stay."""
    with store.group():
        assert store.apply([AddTransaction(make_transaction())]) is None
        assert store.transaction("txn_1") is not None
        assert store.apply([AddTransaction(make_transaction("txn_2"))]) is None
    assert [entry.key for entry in store.log(after=0, limit=10)] == ["txn_1", "txn_2"]


def test_a_group_rolls_back_together(world: Store) -> None:
    """An exception inside a group leaves none of its effects, and the store goes on working."""
    before = read_all(world)

    def fail_after_writing() -> None:
        with world.group():
            for change in HOLDS:
                assert world.apply([change]) in (None, change)
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail_after_writing()
    assert read_all(world) == before
    assert world.apply([HOLDS[0]]) is None


def test_a_lost_list_in_a_group_leaves_the_others(store: Store) -> None:
    """Within a group each list stands or falls alone."""
    taken = AddTransaction(make_transaction(merchant="Another"))
    with store.group():
        assert store.apply([AddTransaction(make_transaction())]) is None
        assert store.apply([AddTransaction(make_transaction("txn_2")), taken]) is taken
        assert store.apply([AddTransaction(make_transaction("txn_3"))]) is None
    assert [entry.key for entry in store.log(after=0, limit=10)] == ["txn_1", "txn_3"]


def test_an_illegal_move_in_a_group_leaves_the_others(store: Store) -> None:
    """A list that raised is undone; what the group applied before and after it stays."""
    with store.group():
        assert store.apply([AddTransaction(make_transaction())]) is None
        with pytest.raises(IllegalMove):
            store.apply([AddTransaction(make_transaction("txn_2")), ILLEGAL[0]])
        assert store.apply([AddTransaction(make_transaction("txn_3"))]) is None
    assert [entry.key for entry in store.log(after=0, limit=10)] == ["txn_1", "txn_3"]


def test_groups_do_not_nest(store: Store) -> None:
    """A group inside a group is a fault of the caller."""
    with store.group(), pytest.raises(RuntimeError), store.group():
        pass


def test_erasing_drops_personal_data(world: Store) -> None:
    """Row, phones, bodies and notes go; payment, decision, challenge state and label stay under their ids."""
    secret = make_transaction("txn_5", ip="192.0.2.7", device_id="dev-7", card="tok-7", metadata={"note": "x"})
    spoken = AddLabel(make_label(source=LabelSource.CHARGEBACK, note="called Ada"), LabelSource.ANALYST)
    assert world.apply([AddTransaction(secret), PutChallenge(ASKED), AddMessage(make_reply()), spoken]) is None
    assert world.apply([EraseAccount("user_001", NOW_MS)]) is None
    assert world.account("user_001") is None
    seen = b"".join(msgspec.json.encode(value) for value in read_all(world).values())
    for personal in (b"+12025550101", b"Ada", b"ada@example.com", b"Suspicious Store", b"192.0.2.7", b"dev-7"):
        assert personal not in seen
    assert b"tok-7" not in seen
    kept, record = world.transaction("txn_5"), world.transaction("txn_1")
    assert kept is not None
    assert kept.transaction == make_transaction("txn_5")
    assert record is not None
    assert record.label == make_label(source=LabelSource.CHARGEBACK)
    assert record.challenge is not None
    assert record.challenge.state is ChallengeState.ASKED


def test_erasing_drops_the_accounts_feature_state(world: Store) -> None:
    """Its own and that of its pairs; a merchant's stays, and so does what belongs to an id that begins alike."""
    others = [
        ("account", "user_0012"),
        ("pair", "user_0012\x1fcafe"),
        ("pair", "user_001 \x1fcafe"),
        ("merchant", "cafe"),
    ]
    erased = [
        ("account", "user_001"),
        ("pair", "user_001\x1f"),
        ("pair", "user_001\x1fcafe"),
        ("pair", "user_001\x1f\U0010ffff"),
    ]
    puts = [PutState(entity, key, 1, b"one") for entity, key in [*others, *erased[1:]]]
    assert world.apply(puts) is None
    assert world.apply([EraseAccount("user_001", NOW_MS)]) is None
    assert world.states(erased) == [None] * len(erased)
    assert world.states(others) == [(1, b"one")] * len(others)
    stale = PutState("account", "user_001", 2, b"two")
    assert world.apply([stale]) is stale


def test_erasing_stops_texts_and_old_copies(world: Store) -> None:
    """A text not yet sent is sent no more, and a service that read a record before cannot write it back."""
    assert world.apply([EraseAccount("user_001", NOW_MS)]) is None
    assert world.due_message_ids(channel="sms", now_ms=NOW_MS, limit=10) == []
    for stale in (PutMessage(make_message(attempts=1, version=2)), PutChallenge(ASKED)):
        assert world.apply([stale]) is stale


def test_erasing_spares_other_accounts(world: Store) -> None:
    """Another account on the same phone keeps its own row, challenges and texts."""
    other = make_challenge("chl_2", transaction_id="txn_2", user_id="user_002")
    text = make_message("chl_2:question", challenge_id="chl_2", transaction_id="txn_2")
    foreign = make_transaction("txn_3", user_id="user_002")
    theirs = make_message("theirs", challenge_id=None, transaction_id="txn_3")
    changes: list[Change] = [PutAccount(make_account("user_002")), AddTransaction(foreign), AddMessage(theirs)]
    assert world.apply([*changes, AddChallenge(other)]) is None
    assert world.apply([AddMessage(msgspec.structs.replace(text, transaction_id=None))]) is None
    assert world.apply([EraseAccount("user_001", NOW_MS)]) is None
    assert world.account("user_002") == make_account("user_002")
    assert world.challenge("chl_2") == other
    assert world.message("theirs") == theirs
    assert world.message("chl_2:question") == msgspec.structs.replace(text, transaction_id=None)


def test_the_latest_erasure_is_remembered(world: Store) -> None:
    """Its time only grows, and nothing else sets it."""
    assert world.last_erasure_ms() is None
    assert world.apply([EraseAccount("user_001", NOW_MS)]) is None
    assert world.last_erasure_ms() == NOW_MS
    for at_ms, latest_ms in ((NOW_MS - 1, NOW_MS), (NOW_MS + 1, NOW_MS + 1)):
        assert world.apply([PutAccount(make_account()), EraseAccount("user_001", at_ms)]) is None
        assert world.last_erasure_ms() == latest_ms
    absent = EraseAccount("user_001", NOW_MS + 2)
    assert world.apply([absent]) is absent
    assert world.last_erasure_ms() == NOW_MS + 1


def test_an_opt_out_outlives_an_erasure(world: Store) -> None:
    """Not to be texted again is what the number's holder asked for."""
    assert world.apply([PutOptOut(PHONE, NOW_MS), EraseAccount("user_001", NOW_MS)]) is None
    assert world.opted_out_since(PHONE) == NOW_MS


def test_erasing_spares_callbacks_and_alerts(world: Store) -> None:
    """They name no person, and the payment system and the analysts are still told."""
    told = [
        make_message(
            kind.value, kind=kind, channel=kind.value, address="https://pay.example/", body="{}", challenge_id=None
        )
        for kind in (MessageKind.CALLBACK, MessageKind.ALERT)
    ]
    assert world.apply([*map(AddMessage, told), EraseAccount("user_001", NOW_MS)]) is None
    assert [world.message(message.message_id) for message in told] == told
    for message in told:
        assert list(world.due_message_ids(channel=message.channel, now_ms=NOW_MS, limit=10)) == [message.message_id]


def test_erasing_ends_links(world: Store) -> None:
    """What makes a message's links valid goes with its words."""
    mail = make_message("mail", channel="email", address="ada@example.com", nonce="0dd", state=MessageState.ACCEPTED)
    assert world.apply([AddMessage(mail), EraseAccount("user_001", NOW_MS)]) is None
    erased = world.message("mail")
    assert erased is not None
    assert (erased.nonce, erased.body, erased.state) == (None, "", MessageState.ACCEPTED)


def test_erasing_reaches_what_came_from_former_numbers(world: Store) -> None:
    """Texts from a number that the account had before are erased, those from other numbers are not."""
    former = make_account(version=2, phone_number=OTHER_PHONE, former_addresses=(PHONE,))
    stranger = make_reply("SM3", "who is this", address="+12025550103")
    texts = [make_reply("SM1", "it is Ada"), make_reply("SM2", "Ada again", address=OTHER_PHONE), stranger]
    assert world.apply([PutAccount(former), *map(AddMessage, texts), EraseAccount("user_001", NOW_MS)]) is None
    kept = [world.message(text.message_id) for text in texts]
    assert [text.body if text else None for text in kept] == ["", "", "who is this"]


def test_an_erased_account_may_come_back(world: Store) -> None:
    """After an erasure the user id starts again at version 1."""
    assert world.apply([EraseAccount("user_001", NOW_MS), PutAccount(make_account(name="New"))]) is None
    assert world.account("user_001") == make_account(name="New")
