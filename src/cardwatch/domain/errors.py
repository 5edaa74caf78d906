"""Errors by what a caller can do about them.

Expected outcomes (a duplicate, a lost race) are return values, never exceptions. What is raised here is either
input that someone must correct (`InvalidInput`) or a part that does not work at the moment (`OperatingError`).
"""

from collections.abc import Sequence

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with an input: where (RFC 6901 JSON pointer, "" for the whole) and what would do."""

    pointer: str
    detail: str


class CardwatchError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidInput(CardwatchError):
    """Input that cannot be taken as it is; `problems` names every fault that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.pointer}: {p.detail}" if p.pointer else p.detail for p in self.problems))

    @classmethod
    def at(cls, pointer: str, detail: str) -> "InvalidInput":
        """Build the error for a single fault."""
        return cls([Problem(pointer, detail)])


class OperatingError(CardwatchError):
    """A part of the system did not do its work; `retryable` says whether the same call may succeed later."""

    retryable = True


class StoreUnavailable(OperatingError):
    """The store cannot take or give data now (locked, full, unreachable); nothing of the call was written."""


class Contended(OperatingError):
    """What a call is about kept changing while it was decided; nothing of it was written, others are not touched."""


class ScorerUnavailable(OperatingError):
    """The model cannot score now; the payment is retried, then sent to review."""


class StoreCorrupt(OperatingError):
    """The store holds something this version cannot read; retrying does not help."""

    retryable = False
