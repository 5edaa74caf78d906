"""Stores in which every write is watched, may fail for a while, and may be the last thing that its process does."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from cardwatch.adapters.memory import MemoryStore
from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.changes import Change
from cardwatch.domain.errors import StoreUnavailable
from tests.simulation.stage import Stage

Write: TypeAlias = Callable[[Sequence[Change]], Change | None]
Written: TypeAlias = Callable[[Sequence[Change]], None]


class Around:
    """What happens around each write."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.written: Written = lambda _: None

    def apply(self, write: Write, changes: Sequence[Change]) -> Change | None:
        """Write, unless something is in the way."""
        stage = self._stage
        stage.race()
        stage.crash_point("before a write")
        if stage.chance(stage.dials.store_unavailable):
            raise StoreUnavailable("the disk is busy")
        lost = write(changes)
        if lost is None:
            stage.count("writes")
            self.written(changes)
        else:
            stage.count("writes lost to another")
        stage.crash_point("after a write")
        return lost


class FaultyMemoryStore(MemoryStore):
    """The reference store under faults."""

    def __init__(self, around: Around) -> None:
        super().__init__()
        self._around = around

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply all changes or none, or die."""
        return self._around.apply(super().apply, changes)


class FaultySqliteStore(SqliteStore):
    """The embedded store under faults; after a crash of the machine another one is opened over the same file."""

    def __init__(self, path: Path, around: Around) -> None:
        super().__init__(path)
        self._around = around

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply all changes or none, or die."""
        return self._around.apply(super().apply, changes)
