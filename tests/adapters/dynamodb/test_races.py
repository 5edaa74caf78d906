"""Several writers at once, each with a store of its own: what SQLite's one writer gives is held by conditions here."""

import threading
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from cardwatch.adapters.dynamodb import Applied, Clients, DynamoStore, TableNames
from cardwatch.domain.challenge import Challenge, ChallengeState
from cardwatch.domain.changes import (
    AddChallenge,
    AddDeadLetter,
    AddMessage,
    AddTransaction,
    Change,
    DecideTransaction,
    PutAccount,
    PutChallenge,
    PutState,
    RemoveDeadLetter,
    successor,
)
from cardwatch.domain.transaction import Status
from tests.builders import NOW_MS, PHONE, make_account, make_challenge, make_decision, make_message, make_transaction

ROUNDS_OF_ONE_STATE = 1_000
ROUNDS_OF_ONE_PHONE = 60


@pytest.fixture
def other(clients: Clients, names: TableNames) -> DynamoStore:
    """Return a second store over the same tables, as another process has one."""
    return DynamoStore(clients, names)


def together(*works: Callable[[], None]) -> None:
    """Run each in a thread of its own, from one start."""
    barrier = threading.Barrier(len(works))
    failures: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001  told below, in the test's thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert failures == []


def asked(number: int) -> Challenge:
    """Return a challenge that stands on the phone."""
    return make_challenge(
        f"chl_{number}", transaction_id=f"txn_{number}", state=ChallengeState.ASKED, asked_at_ms=NOW_MS
    )


def test_two_writers_never_put_two_questions_on_one_phone(store: DynamoStore, other: DynamoStore) -> None:
    """Both read that nothing stands on the phone; the question of one holds, the other is told to read again."""
    rounds = [make_challenge(phone=f"+1202555{n:04}").phone for n in range(ROUNDS_OF_ONE_PHONE)]
    for name in ("txn_1", "txn_2"):
        assert store.apply([AddTransaction(make_transaction(name))]) is None

    def ask(asker: DynamoStore, number: int) -> Callable[[], None]:
        def work() -> None:
            for phone in rounds:
                challenge = msgspec.structs.replace(asked(number), challenge_id=f"{phone}:{number}", phone=phone)
                if not asker.open_challenges(phone):
                    asker.apply([AddChallenge(challenge)])

        return work

    together(ask(store, 1), ask(other, 2))
    assert [len(store.open_challenges(phone)) for phone in rounds] == [1] * len(rounds)


def test_a_question_is_lost_when_another_was_asked_since_the_phone_was_read(
    store: DynamoStore, other: DynamoStore
) -> None:
    """The list that lost names the challenge, and holds once the phone is read again."""
    assert store.apply([AddTransaction(make_transaction(f"txn_{n}")) for n in (1, 2)]) is None
    assert store.open_challenges(PHONE) == []
    assert other.open_challenges(PHONE) == []
    assert other.apply([AddChallenge(asked(2))]) is None
    late = AddChallenge(asked(1))
    assert store.apply([late]) is late
    assert store.challenge("chl_1") is None
    assert len(store.open_challenges(PHONE)) == 1
    assert store.apply([AddChallenge(make_challenge())]) is None


def test_two_waiting_questions_are_not_both_asked_next(store: DynamoStore, other: DynamoStore) -> None:
    """Asking raises the phone's revision though its list of open questions stays the same."""
    for number in (1, 2):
        challenge = make_challenge(f"chl_{number}", transaction_id=f"txn_{number}")
        assert store.apply([AddTransaction(make_transaction(f"txn_{number}")), AddChallenge(challenge)]) is None
    first, second = store.open_challenges(PHONE)
    other.open_challenges(PHONE)
    ask = [PutChallenge(successor(one, state=ChallengeState.ASKED, asked_at_ms=NOW_MS)) for one in (first, second)]
    assert store.apply([ask[0]]) is None
    assert other.apply([ask[1]]) is ask[1]


def test_a_text_is_lost_when_another_was_added_since_they_were_counted(store: DynamoStore, other: DynamoStore) -> None:
    """A challenge has its share of texts; two services that both saw one left do not both send it."""
    assert store.apply([AddMessage(make_message("m1"))]) is None
    assert len(store.messages_about("chl_1")) == len(other.messages_about("chl_1")) == 1
    assert other.apply([AddMessage(make_message("m2"))]) is None
    late = AddMessage(make_message("m3"))
    assert store.apply([late]) is late
    assert len(store.messages_about("chl_1")) == 2
    assert store.apply([late]) is None


def test_nobody_is_asked_on_an_account_that_was_held_meanwhile(store: DynamoStore, other: DynamoStore) -> None:
    """The account is read without consistency; the question checks that it still is as it was read."""
    assert store.apply([PutAccount(make_account()), AddTransaction(make_transaction())]) is None
    account = store.account("user_001")
    assert account is not None
    assert other.apply([PutAccount(successor(account, held_since_ms=NOW_MS))]) is None
    ask = AddChallenge(asked(1))
    assert store.apply([ask]) is ask
    assert store.account("user_001") != account
    assert store.apply([ask]) is None


def test_a_payment_is_decided_once(store: DynamoStore, other: DynamoStore) -> None:
    """Of two deciders one wins, the other is told so, and what stands is the winner's."""
    for number in range(40):
        assert store.apply([AddTransaction(make_transaction(f"txn_{number}"))]) is None
    won: dict[float, list[str]] = {0.1: [], 0.9: []}

    def decide(decider: DynamoStore, score: float) -> Callable[[], None]:
        def work() -> None:
            for number in range(40):
                key = f"txn_{number}"
                change = DecideTransaction(key, make_decision(score=score), Status.APPROVED)
                if decider.apply([change]) is None:
                    won[score].append(key)

        return work

    together(decide(store, 0.1), decide(other, 0.9))
    assert sorted(won[0.1] + won[0.9]) == sorted(f"txn_{n}" for n in range(40))
    for score, keys in won.items():
        for key in keys:
            record = store.transaction(key)
            assert record is not None
            assert record.decision == make_decision(score=score)


def test_dead_letters_of_two_writers_are_all_kept(store: DynamoStore, other: DynamoStore) -> None:
    """Their numbers come from one counter; a writer that was second tries again."""

    def fail(writer: DynamoStore, name: str) -> Callable[[], None]:
        def work() -> None:
            for number in range(15):
                assert writer.apply([AddDeadLetter(name, f"txn_{number}", "broken", "{}", NOW_MS)]) is None

        return work

    together(fail(store, "one"), fail(other, "two"))
    kept = store.dead_letters(limit=100)
    assert [letter.dead_letter_id for letter in kept] == list(range(1, 31))
    assert store.apply([RemoveDeadLetter(30)]) is None


@pytest.mark.timeout(300)
def test_two_scorers_on_one_account_count_every_payment(
    store: DynamoStore, other: DynamoStore, record_property: Callable[[str, object], None]
) -> None:
    """1,000 payments by two writers at once: the state is that of a serial run, and retries are reported."""
    retries: list[int] = []

    def count(writer: DynamoStore, first: int) -> Callable[[], None]:
        def work() -> None:
            for sequence in range(first, ROUNDS_OF_ONE_STATE, 2):
                writer.states([("account", "user_001")])
                outcome = writer.apply_state(
                    "account", "user_001", sequence=sequence + 1, step=partial(add, sequence + 1)
                )
                assert outcome.applied is Applied.DONE
                retries.append(outcome.retries)

        return work

    together(count(store, 0), count(other, 1))
    ((version, blob),) = (state for state in store.states([("account", "user_001")]) if state)
    assert version == ROUNDS_OF_ONE_STATE
    assert total(blob) == (ROUNDS_OF_ONE_STATE, sum(range(1, ROUNDS_OF_ONE_STATE + 1)))
    record_property("cas_retries", sum(retries))
    assert sum(retries) > 0


def add(number: int, blob: bytes | None) -> bytes:
    """Count a payment: how many, and the sum of their numbers."""
    count, summed = total(blob or b"\0" * 16)
    return (count + 1).to_bytes(8, "big") + (summed + number).to_bytes(8, "big")


def total(blob: bytes) -> tuple[int, int]:
    """Return what was counted."""
    return int.from_bytes(blob[:8], "big"), int.from_bytes(blob[8:], "big")


def test_a_state_that_lost_is_read_anew(store: DynamoStore, other: DynamoStore) -> None:
    """A list whose state was written meanwhile loses by that change, and holds after reading again."""
    assert store.apply([PutState("account", "user_001", 1, b"one")]) is None
    assert list(store.states([("account", "user_001")])) == [(1, b"one")]
    assert other.apply([PutState("account", "user_001", 2, b"two")]) is None
    stale: Change = PutState("account", "user_001", 2, b"mine")
    assert store.apply([stale]) is stale
    assert list(store.states([("account", "user_001")])) == [(2, b"two")]
    assert store.apply([PutState("account", "user_001", 3, b"mine")]) is None


def test_what_a_reader_saw_long_ago_is_not_why_a_list_is_lost(store: DynamoStore, other: DynamoStore) -> None:
    """A status that was read before it moved is read again before a change is called lost."""
    assert store.apply([AddTransaction(make_transaction())]) is None
    other.transaction("txn_1")
    decide = DecideTransaction("txn_1", make_decision(), Status.IN_REVIEW)
    assert store.apply([decide]) is None
    store.transaction("txn_1")
    again = DecideTransaction("txn_1", make_decision(), Status.IN_REVIEW)
    assert other.apply([again]) is again
