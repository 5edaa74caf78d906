"""The tables of the memory store, and what lets them take writes back."""

from collections.abc import Callable
from typing import TypeVar

from cardwatch.domain.account import Account
from cardwatch.domain.challenge import Challenge
from cardwatch.domain.label import Label
from cardwatch.domain.message import Message
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.ports import DeadLetter, LogEntry

K = TypeVar("K")
V = TypeVar("V")
Undo = Callable[[], None]


class Table(dict[K, V]):
    """A dictionary whose writes note in a journal how to take them back."""

    def __init__(self, journal: list[Undo]) -> None:
        super().__init__()
        self._journal = journal

    def put(self, key: K, row: V) -> None:
        """Insert or replace a row."""
        if key in self:
            before = self[key]
            self._journal.append(lambda: self.__setitem__(key, before))
        else:
            self._journal.append(lambda: self.__delitem__(key))
        self[key] = row

    def remove(self, key: K) -> None:
        """Delete a row that exists."""
        before = self.pop(key)
        self._journal.append(lambda: self.__setitem__(key, before))


class Tables:
    """One table per kind of record; `payments` hold no challenge and no label, reads join them."""

    def __init__(self) -> None:
        self._journal: list[Undo] = []
        self.payments: Table[str, TransactionRecord] = Table(self._journal)
        self.current_challenge: Table[str, str] = Table(self._journal)
        self.labels: Table[str, tuple[Label, ...]] = Table(self._journal)
        self.accounts: Table[str, Account] = Table(self._journal)
        self.states: Table[tuple[str, str], tuple[int, bytes]] = Table(self._journal)
        self.challenges: Table[str, Challenge] = Table(self._journal)
        self.messages: Table[str, Message] = Table(self._journal)
        self.about: Table[str, tuple[str, ...]] = Table(self._journal)
        """Ids of the messages about each challenge."""
        self.outbox: Table[str, bool] = Table(self._journal)
        """Ids of the messages that a worker has to act on."""
        self.opt_outs: Table[str, int] = Table(self._journal)
        self.set_aside: Table[str, Challenge] = Table(self._journal)
        """Challenges that no read finds."""
        self.erasures: Table[str, int] = Table(self._journal)
        """The latest time at which a phone's history was lost, under "last"."""
        self.log: Table[int, LogEntry] = Table(self._journal)
        self.cursors: Table[str, int] = Table(self._journal)
        self.dead_letters: Table[int, DeadLetter] = Table(self._journal)
        self.last_numbers: Table[str, int] = Table(self._journal)

    def mark(self) -> int:
        """Return the present moment, to come back to."""
        return len(self._journal)

    def go_back(self, mark: int) -> None:
        """Take back every write since a moment."""
        while len(self._journal) > mark:
            self._journal.pop()()

    def keep(self) -> None:
        """Make every write so far final."""
        self._journal.clear()
