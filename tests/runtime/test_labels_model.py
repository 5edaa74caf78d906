"""Whatever payments, labels, crashes and restarts do: state is that of the log, applied once and in its order."""

import tempfile
from contextlib import suppress
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from cardwatch.domain.changes import AddLabel, AddTransaction, PutAccount
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.money import Money
from cardwatch.domain.transaction import Status
from cardwatch.ports import Store
from cardwatch.runtime.scoring import ENTRIES_MAX
from tests.builders import NOW_MS, make_account, make_label, make_transaction
from tests.contracts.backends import BACKENDS
from tests.runtime.labels import consumer_of, label, run_group, states_of_log, stored_states

DAY_MS = 86_400_000
USERS = ("user_001", "user_002")


class Pay(msgspec.Struct, frozen=True):
    """A payment is recorded, perhaps under an id that is taken."""

    number: int
    user: int
    shop: int
    day: int
    amount_minor: int
    device: str | None


class Say(msgspec.Struct, frozen=True):
    """Someone labels a payment, which may not be there or not decided yet."""

    number: int
    value: LabelValue
    source: LabelSource
    replace: bool


class Run(msgspec.Struct, frozen=True):
    """The consumer works in a group that commits, or dies before the commit or right after it, and starts again."""

    end: str


numbers = st.integers(0, 3)
steps = st.one_of(
    st.builds(
        Pay,
        numbers,
        st.integers(0, 1),
        st.integers(0, 1),
        st.integers(0, 40),
        st.sampled_from((500, 2_140, 90_000)),
        st.none() | st.just("phone"),
    ),
    st.builds(Say, numbers, st.sampled_from(LabelValue), st.sampled_from(LabelSource), st.booleans()),
    st.builds(Run, st.sampled_from(("committed", "killed before", "killed after"))),
)


def pay(store: Store, step: Pay) -> None:
    """Record a payment; the same id again loses."""
    payment = make_transaction(
        f"txn_{step.number}",
        user_id=USERS[step.user],
        merchant_id=f"shop {step.shop}",
        timestamp_ms=NOW_MS + step.day * DAY_MS,
        amount=Money(step.amount_minor, "USD"),
        device_id=step.device,
    )
    store.apply([AddTransaction(payment)])


def say(store: Store, step: Say) -> None:
    """Label as an analyst, a chargeback, or as a reply or another writer does that says what it saw before."""
    key = f"txn_{step.number}"
    if step.source in (LabelSource.ANALYST, LabelSource.CHARGEBACK):
        label(store, key, step.value, step.source, replace=step.replace)
        return
    record = store.transaction(key)
    if record is not None and record.status is not Status.PENDING:
        seen = record.label.source if record.label else None
        store.apply([AddLabel(make_label(key, value=step.value, source=step.source), seen)])


@pytest.mark.parametrize(("backend", "examples"), [("memory", 200), ("sqlite", 60)])
def test_state_is_that_of_the_log_applied_once(backend: str, examples: int) -> None:
    """Under duplicates, contrary labels, and a consumer that is killed on either side of its commit."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(story=st.lists(steps, min_size=6, max_size=40))
    def holds(story: list[Pay | Say | Run]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = BACKENDS[backend](Path(folder))
            try:
                play(store, story)
            finally:
                store.close()

    holds()


def play(store: Store, story: list[Pay | Say | Run]) -> None:
    """Tell a story to its end, let the consumer catch up, and compare."""
    for user_id in USERS:
        assert store.apply([PutAccount(make_account(user_id))]) is None
    consumer = consumer_of(store)
    for step in story:
        if isinstance(step, Pay):
            pay(store, step)
        elif isinstance(step, Say):
            say(store, step)
        elif step.end == "killed before":
            with suppress(InterruptedError), store.group():
                consumer.run()
                raise InterruptedError
            consumer = consumer_of(store)
        else:
            run_group(store, consumer)
            consumer = consumer_of(store) if step.end == "killed after" else consumer
    while run_group(store, consumer):
        pass
    assert not run_group(store, consumer_of(store))
    assert not store.dead_letters(limit=9)
    assert stored_states(store) == states_of_log(store)


def test_label_and_payments_in_one_group_with_a_long_log(tmp_path: Path) -> None:
    """More entries than one turn reads: turns end between a payment and its label, and nothing is counted twice."""
    store = BACKENDS["sqlite"](tmp_path)
    assert store.apply([PutAccount(make_account())]) is None
    consumer = consumer_of(store)
    for round_ in range(3):
        for number in range(ENTRIES_MAX):
            assert store.apply([AddTransaction(make_transaction(f"{round_}:{number}"))]) is None
            if round_ and number % 5 == 0:
                label(store, f"{round_ - 1}:{number}", LabelValue.FRAUD)
        while run_group(store, consumer):
            pass
    assert stored_states(store) == states_of_log(store)
    store.close()
