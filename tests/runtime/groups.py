"""A group store and a step that record what is done with them, and a way to run a writer until it has stopped."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cardwatch.domain.errors import OperatingError
from cardwatch.runtime.writer import Step, Writer

T = TypeVar("T")


class Groups:
    """Keeps what jobs write, group by group; may be told to fail."""

    def __init__(self) -> None:
        self.kept: list[list[str]] = []
        self.commit_errors: list[Exception | None] = []
        self.begin_errors: list[Exception] = []
        self.roll_back_error: OperatingError | None = None
        self.begun = 0
        self._open: list[str] = []

    def write(self, what: str) -> str:
        """Write in the open group."""
        self._open.append(what)
        return what

    def begin_group(self) -> None:
        """Open a group, or fail."""
        self.begun += 1
        if self.begin_errors:
            raise self.begin_errors.pop(0)
        self._open = []

    def commit_group(self) -> None:
        """Keep the group, or fail."""
        error = self.commit_errors.pop(0) if self.commit_errors else None
        if error is not None:
            raise error
        self.kept.append(self._open)
        self._open = []

    def roll_back_group(self) -> None:
        """Forget the group, or fail."""
        self._open = []
        if self.roll_back_error is not None:
            raise self.roll_back_error


class QuietStep:
    """Standing work without work; counts what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.errors: list[Exception] = []

    def run(self) -> bool:
        """Have nothing to do, or fail."""
        if self.errors:
            raise self.errors.pop(0)
        return False

    def committed(self) -> None:
        """Note it."""
        self.heard.append("committed")

    def rolled_back(self) -> None:
        """Note it."""
        self.heard.append("rolled back")


def with_writer(store: Groups, step: Step, scenario: Callable[[Writer], Awaitable[T]]) -> T:
    """Run a scenario beside a writer, then stop it; fails when it does not end."""

    async def run() -> T:
        writer = Writer(store, step)
        loop = asyncio.create_task(writer.run())
        try:
            return await asyncio.wait_for(scenario(writer), 10)
        finally:
            writer.stop()
            await asyncio.wait_for(loop, 10)

    return asyncio.run(run())
