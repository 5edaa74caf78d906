"""How long work runs: on how many processes, with which compiled programs, and who hears how far it is."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Progress: TypeAlias = Callable[[int], object]
"""Hears how many more rows were done."""

Phases: TypeAlias = Callable[[str, int | None], Progress]
"""Hears that a step begins, in words and with how many rows it has (None: not known); returns who hears of them."""

Say: TypeAlias = Callable[[str], object]
"""Hears one line for the person who waits."""


def no_progress(_: int) -> None:
    """Tell nobody."""


def no_phases(_: str, __: int | None) -> Progress:
    """Tell nobody."""
    return no_progress


def silent(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Running:
    """How work runs; no result depends on it."""

    workers: int | None = None
    """Processes; None: one for each core that this one may use."""
    compiled: Path | None = None
    """Folder of compiled programs; None: they are interpreted."""
    phases: Phases = no_phases
    say: Say = silent

    def worker_count(self) -> int:
        """Return how many processes work."""
        if self.workers is not None:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
