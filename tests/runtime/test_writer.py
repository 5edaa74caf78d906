"""The one writer: groups commit as one, a caller hears of its job when it is durable, and nothing hangs."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from cardwatch.domain.errors import OperatingError, StoreCorrupt, StoreUnavailable
from cardwatch.runtime.writer import GROUP_MAX, QUEUE_MAX, Writer
from tests.runtime.groups import Groups, QuietStep, with_writer


async def results(writer: Writer, store: Groups, count: int, *, offset: int = 0) -> list[object]:
    """Submit so many jobs at once and wait for what became of each."""
    futures = [writer.submit(partial(store.write, str(offset + number))) for number in range(count)]
    return await asyncio.gather(*futures, return_exceptions=True)


def test_jobs_are_written_in_order_in_groups() -> None:
    """Those that wait together are one commit, at most so many, in the order they came."""
    store, step = Groups(), QuietStep()
    answers = with_writer(store, step, lambda writer: results(writer, store, 2 * GROUP_MAX + 5))
    assert answers == [str(number) for number in range(2 * GROUP_MAX + 5)]
    assert [len(group) for group in store.kept] == [GROUP_MAX, GROUP_MAX, 5]
    assert [what for group in store.kept for what in group] == answers
    assert step.heard == ["committed"] * 3


def test_job_is_answered_after_its_commit() -> None:
    """Never before it is durable."""
    store = Groups()

    async def scenario(writer: Writer) -> int:
        await writer.submit(partial(store.write, "a"))
        return len(store.kept)

    assert with_writer(store, QuietStep(), scenario) == 1


def test_error_of_one_job_does_not_touch_the_others() -> None:
    """Its caller hears of it, the group commits."""
    store = Groups()

    def broken() -> str:
        raise KeyError("a fault of this job")

    async def scenario(writer: Writer) -> list[object]:
        work: list[Callable[[], str]] = [partial(store.write, "a"), broken, partial(store.write, "b")]
        return await asyncio.gather(*(writer.submit(job) for job in work), return_exceptions=True)

    first, second, third = with_writer(store, QuietStep(), scenario)
    assert (first, third) == ("a", "b")
    assert isinstance(second, KeyError)
    assert store.kept == [["a", "b"]]


def test_failed_commit_fails_exactly_its_groups_jobs() -> None:
    """Nothing of that group is kept; the next group is written."""
    store, step = Groups(), QuietStep()
    store.commit_errors = [StoreUnavailable("disk full"), None]

    async def scenario(writer: Writer) -> list[object]:
        return await results(writer, store, GROUP_MAX + 3)

    answers = with_writer(store, step, scenario)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers[:GROUP_MAX])
    assert answers[GROUP_MAX:] == store.kept[0] == ["64", "65", "66"]
    assert step.heard == ["rolled back", "committed"]


@pytest.mark.parametrize(
    "error", [StoreUnavailable("locked"), StoreCorrupt("damaged"), RuntimeError("a fault of ours")]
)
def test_writer_outlives_every_failure_of_a_group(error: Exception) -> None:
    """Whether the group cannot begin, its standing work breaks, or its commit does: callers hear of it."""
    store, step = Groups(), QuietStep()

    async def scenario(writer: Writer) -> list[object]:
        heard: list[object] = []
        for fail in (store.begin_errors.append, step.errors.append, store.commit_errors.append):
            fail(error)
            heard += await results(writer, store, 1)
        return heard + await results(writer, store, 1, offset=9)

    *failed, last = with_writer(store, step, scenario)
    assert [type(answer) for answer in failed] == [type(error)] * 3
    assert last == "9"
    assert store.kept == [["9"]]


def test_failing_roll_back_does_not_stop_the_writer() -> None:
    """The group's jobs are answered all the same."""
    store = Groups()
    store.commit_errors = [StoreUnavailable("disk gone")]
    store.roll_back_error = OperatingError("disk still gone")
    answers = with_writer(store, QuietStep(), lambda writer: results(writer, store, 1))
    assert isinstance(answers[0], StoreUnavailable)


def test_too_many_waiting_jobs_are_turned_away() -> None:
    """A slow disk is felt as an error at once, not as endless waiting."""
    store = Groups()

    async def scenario(writer: Writer) -> int:
        futures = [writer.submit(partial(store.write, "x")) for _ in range(QUEUE_MAX)]
        with pytest.raises(StoreUnavailable):
            writer.submit(partial(store.write, "one too many"))
        assert writer.waiting == QUEUE_MAX
        return len(await asyncio.gather(*futures))

    assert with_writer(store, QuietStep(), scenario) == QUEUE_MAX
    assert "one too many" not in [what for group in store.kept for what in group]


@pytest.mark.parametrize("errors", [[], [StoreUnavailable("disk full")] * 2])
def test_stop_drains_what_is_queued_and_takes_no_more(errors: list[Exception]) -> None:
    """Even while the disk fails: every job is answered and the writer ends."""
    store = Groups()
    store.commit_errors = [*errors]

    async def run() -> list[object]:
        writer = Writer(store, QuietStep())
        futures = [writer.submit(partial(store.write, "x")) for _ in range(3 * GROUP_MAX)]
        writer.stop()
        with pytest.raises(StoreUnavailable, match="stopping"):
            writer.submit(partial(store.write, "late"))
        await asyncio.wait_for(writer.run(), 10)
        return await asyncio.gather(*futures, return_exceptions=True)

    answers = asyncio.run(run())
    assert sum(isinstance(answer, StoreUnavailable) for answer in answers) == GROUP_MAX * len(errors)
    assert sum(map(len, store.kept)) == GROUP_MAX * (3 - len(errors))


def test_caller_who_left_does_not_disturb_the_group() -> None:
    """A cancelled wait is nobody else's business."""
    store = Groups()

    async def scenario(writer: Writer) -> object:
        gone = writer.submit(partial(store.write, "gone"))
        stays = writer.submit(partial(store.write, "stays"))
        gone.cancel()
        return await stays

    assert with_writer(store, QuietStep(), scenario) == "stays"


def test_idle_writer_commits_nothing() -> None:
    """A wake-up without work is no commit."""
    store = Groups()

    async def scenario(writer: Writer) -> None:
        writer.wake()
        await asyncio.sleep(0)

    with_writer(store, QuietStep(), scenario)
    assert store.begun
    assert store.kept == []
