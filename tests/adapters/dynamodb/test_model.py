"""Random lists of changes end on DynamoDB as on the reference; shorter and fewer, since its emulator is slow."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import Change
from tests.contracts.backends import BACKENDS
from tests.contracts.reads import everything
from tests.contracts.test_model import CHALLENGES, START, USERS, groups, play

Story = list[tuple[list[list[Change]], str] | int]


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(start=st.sampled_from(((), START)), story=st.lists(groups | st.integers(0, 12), min_size=1, max_size=6))
def test_the_store_does_as_the_reference(start: tuple[Change, ...], story: Story) -> None:
    """Groups, losing lists, illegal moves, erasures and trims in any order end in equal stores."""
    reference = MemoryStore()
    store = BACKENDS["dynamodb"](Path())
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
