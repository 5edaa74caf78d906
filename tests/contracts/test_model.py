"""Random lists of changes have the same outcome on every backend, and every read then gives the same answer."""

import tempfile
from contextlib import suppress
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from cardwatch.adapters.memory import MemoryStore
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
    SetAsideMessage,
    SetCursor,
)
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.message import MessageState
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
from tests.contracts.backends import BACKENDS
from tests.contracts.reads import CONSUMERS, PAIRS, everything

USERS = ("user_001", "user_002")
CHALLENGES = ("chl_1", "chl_2", "chl_3")
START: tuple[Change, ...] = (
    PutAccount(make_account("user_001")),
    PutAccount(make_account("user_002", phone_number=OTHER_PHONE)),
    AddTransaction(make_transaction("txn_1", ip="::1")),
    AddTransaction(make_transaction("txn_2", user_id="user_002")),
    AddChallenge(make_challenge("chl_1")),
    AddChallenge(make_challenge("chl_2", transaction_id="txn_2", user_id="user_002")),
    AddMessage(make_message("m1", challenge_id="chl_1", transaction_id=None)),
    AddMessage(make_message("m2", challenge_id="chl_2")),
    AddMessage(make_reply("r1")),
)
"""Where half of the stories begin, so that they soon reach what needs many records."""

users = st.sampled_from(USERS)
payments = st.sampled_from(("txn_1", "txn_2", "txn_3"))
phones = st.sampled_from((PHONE, OTHER_PHONE))
versions = st.integers(1, 3)
times = st.integers(NOW_MS - 2, NOW_MS + 2)
maybe_times = st.none() | times
sources = st.sampled_from(LabelSource)
statuses = st.sampled_from(Status)

challenges = st.builds(
    make_challenge,
    st.sampled_from(CHALLENGES),
    transaction_id=payments,
    user_id=users,
    phone=phones,
    state=st.sampled_from(ChallengeState),
    asked_at_ms=maybe_times,
    expires_at_ms=times,
    created_at_ms=times,
    risk_minor=st.integers(0, 2),
    version=versions,
)
messages = st.builds(
    make_message,
    st.sampled_from(("m1", "m2", "m3", "m4")),
    state=st.sampled_from(MessageState),
    address=phones,
    channel=st.sampled_from(("sms", "email")),
    created_at_ms=times,
    due_at_ms=times,
    challenge_id=st.none() | st.sampled_from(CHALLENGES),
    transaction_id=st.none() | payments,
    version=versions,
) | st.builds(make_reply, st.sampled_from(("r1", "r2")), address=phones, created_at_ms=times)
labels = st.builds(
    make_label, payments, value=st.sampled_from(LabelValue), source=sources, note=st.none() | st.just("n")
)

changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(AddTransaction, st.builds(make_transaction, payments, user_id=users, ip=st.none() | st.just("::1"))),
    st.builds(DecideTransaction, payments, st.builds(make_decision, score=st.floats(0, 1)), statuses),
    st.builds(MoveTransaction, payments, statuses, statuses, st.just("cause")),
    st.builds(
        PutState,
        st.sampled_from(("account", "merchant", "pair")),
        st.sampled_from((*USERS, "corner cafe", *PAIRS)),
        versions,
        st.binary(max_size=8),
    ),
    st.builds(PutAccount, st.builds(make_account, users, phone_number=st.none() | phones, version=versions)),
    st.builds(EraseAccount, users, times),
    st.builds(AddChallenge, challenges),
    st.builds(PutChallenge, challenges),
    st.builds(SetAsideChallenge, st.sampled_from(CHALLENGES), times),
    st.builds(AddMessage, messages),
    st.builds(PutMessage, messages),
    st.builds(SetAsideMessage, st.sampled_from(("m1", "m2", "m3", "m4", "r1"))),
    st.builds(PutOptOut, phones, st.none() | times),
    st.builds(AddLabel, labels, st.none() | sources, st.booleans()),
    st.builds(SetCursor, st.sampled_from(CONSUMERS), st.integers(0, 3), st.integers(0, 3)),
    st.builds(AddDeadLetter, st.just("score"), payments, st.just("cause"), st.just("{}"), times),
    st.builds(RemoveDeadLetter, st.integers(1, 3)),
)
lists = st.lists(changes, max_size=4)
groups = st.tuples(st.lists(lists, min_size=1, max_size=6), st.sampled_from(("alone", "group", "rolled back")))


def outcome(store: Store, wanted: list[Change]) -> tuple[str, Change | None]:
    """Apply a list; returns what came of it."""
    try:
        return "returned", store.apply(wanted)
    except IllegalMove as error:
        return str(error), None


def play(store: Store, group: tuple[list[list[Change]], str]) -> list[tuple[str, Change | None]]:
    """Apply lists one by one, in a group, or in a group that is given up."""
    wanted, how = group
    if how == "alone":
        return [outcome(store, each) for each in wanted]
    outcomes: list[tuple[str, Change | None]] = []
    with suppress(InterruptedError), store.group():
        outcomes = [outcome(store, each) for each in wanted]
        if how == "rolled back":
            raise InterruptedError
    return outcomes


@pytest.mark.parametrize("backend", ["sqlite"])  # DynamoDB's emulator takes shorter stories: tests/adapters/dynamodb
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.sampled_from(((), START)), story=st.lists(groups | st.integers(0, 12), min_size=1, max_size=12))
def test_every_backend_does_as_the_reference(
    backend: str, start: tuple[Change, ...], story: list[tuple[list[list[Change]], str] | int]
) -> None:
    """Groups, losing lists, illegal moves, erasures and trims in any order end in equal stores."""
    reference = MemoryStore()
    with tempfile.TemporaryDirectory() as folder:
        store = BACKENDS[backend](Path(folder))
        try:
            assert store.apply(start) is reference.apply(start) is None
            for step in story:
                if isinstance(step, int):
                    assert store.trim_log(below=step) == reference.trim_log(below=step)
                else:
                    assert play(store, step) == play(reference, step)
                assert everything(store, user_ids=USERS, challenge_ids=CHALLENGES) == everything(
                    reference, user_ids=USERS, challenge_ids=CHALLENGES
                )
        finally:
            store.close()
