"""The one writer of the embedded store: jobs run in groups on the event loop's thread, each group is one commit.

Statements run on the loop's own thread because handing each one to another thread costs more than it saves while
both want the interpreter; only the commit, which waits for the disk, runs beside it, and requests are read and
parsed meanwhile. A caller hears of its job when the group is durable.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from cardwatch.domain.errors import OperatingError, StoreUnavailable
from cardwatch.ports import Groups

T = TypeVar("T")

QUEUE_MAX = 2_000
"""Jobs that may wait; more are turned away, so that a slow disk is felt as 503 and not as endless waiting."""

GROUP_MAX = 64
"""Jobs in one group: past this, commits cost nothing against the jobs and waiting grows."""

_PAUSE_AFTER_FAILURE_S = 0.05

_log = structlog.get_logger(__name__)


class Step(Protocol):
    """Standing work that each group takes along, such as a consumer of the change log."""

    def run(self) -> bool:
        """Do what there is to do, inside the open group; returns whether there was any."""
        ...

    def committed(self) -> None:
        """Hear that the group is durable."""
        ...

    def rolled_back(self) -> None:
        """Hear that the group's effects are gone."""
        ...


class _Job(msgspec.Struct):
    work: Callable[[], Any]
    future: asyncio.Future[Any]
    outcome: Any = None
    error: Exception | None = None


class Writer:
    """Runs jobs and standing work in groups; `run` is its loop."""

    def __init__(self, store: Groups, step: Step) -> None:
        self._store = store
        self._step = step
        self._jobs: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._closing = False

    @property
    def waiting(self) -> int:
        """Jobs that wait for a group."""
        return len(self._jobs)

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Queue a job; the future has its result, or its exception, once the group is durable.

        Raises StoreUnavailable when too many jobs wait or the writer stops.
        """
        if self._closing or len(self._jobs) >= QUEUE_MAX:
            raise StoreUnavailable("too many payments wait to be written" if not self._closing else "stopping")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(work, future))
        self._wake.set()
        return future

    def wake(self) -> None:
        """Run the standing work soon."""
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop`; what is queued then is still done."""
        while not (self._closing and not self._jobs):
            await self._wake.wait()
            self._wake.clear()
            while await self._group():
                pass
        self._executor.shutdown()

    def stop(self) -> None:
        """Take no more jobs and let `run` end."""
        self._closing = True
        self._wake.set()

    async def _group(self) -> bool:
        """Run one group; returns whether there may be more to do."""
        jobs = [self._jobs.popleft() for _ in range(min(GROUP_MAX, len(self._jobs)))]
        try:
            self._store.begin_group()
            for job in jobs:
                _do(job)
            stepped = self._step.run()
            if not jobs and not stepped:
                self._store.roll_back_group()
                return False
            await asyncio.get_running_loop().run_in_executor(self._executor, self._store.commit_group)
        except Exception as error:  # noqa: BLE001  without the writer every later payment would wait for ever
            if not isinstance(error, OperatingError):
                _log.error("group_failed", jobs=len(jobs), exc_info=error)
            self._give_up(jobs, error)
            await asyncio.sleep(_PAUSE_AFTER_FAILURE_S)
            return bool(self._jobs) or not self._closing
        try:
            self._step.committed()
        except Exception as error:  # noqa: BLE001  what is durable must be told, and the writer must live
            _log.error("committed_but_not_told", exc_info=error)
        for job in jobs:
            _resolve(job)
        return True

    def _give_up(self, jobs: list[_Job], error: Exception) -> None:
        try:
            self._store.roll_back_group()
        except OperatingError as failure:
            _log.error("group_not_rolled_back", exc_info=failure)
        self._step.rolled_back()
        for job in jobs:
            job.error = error
            _resolve(job)


def _do(job: _Job) -> None:
    try:
        job.outcome = job.work()
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  one job's fault is told to its caller and must not stop the others
        job.error = error


def _resolve(job: _Job) -> None:
    if job.future.cancelled():
        return
    if job.error is not None:
        job.future.set_exception(job.error)
    else:
        job.future.set_result(job.outcome)
