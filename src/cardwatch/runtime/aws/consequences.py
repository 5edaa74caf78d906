"""What follows from a list of changes, written with it as one: labels counted in feature state, callbacks and alerts.

The embedded home follows its change log for this. A DynamoDB stream has no one order to follow and two readers at
most, so here the consequences go into the same transaction as their cause: they are there exactly if it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import msgspec

from cardwatch.domain.changes import (
    AddLabel,
    AddMessage,
    Change,
    DecideTransaction,
    MoveTransaction,
    PutChallenge,
    PutState,
)
from cardwatch.domain.errors import Contended
from cardwatch.domain.label import fraud_change, log_detail
from cardwatch.domain.message import Direction
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.features.engine import FeatureEngine
from cardwatch.ports import Clock, LogEntry, Randomness, Store
from cardwatch.services.alerts import ALERT_CHANNEL
from cardwatch.services.label_effect import effect_on
from cardwatch.services.reach import Sender
from cardwatch.services.tell_payment_system import CALLBACK_CHANNEL, tell

Follow: TypeAlias = Callable[[Sequence[Change]], Sequence[Change]]
"""Returns the consequences of a list of changes, read from the store as it stands before them."""

RACES_MAX: Final = 8

_PLACES_PER_MS: Final = 1000
"""Callbacks of one millisecond that have numbers of their own; a number taken twice is drawn again.

Larger numbers would not survive a receiver that reads JSON's as doubles (2^53).
"""


class ConsequentStore:
    """A store whose lists are applied with their consequences; notes the outbound messages written through it.

    Everything but `apply` is the inner store's.
    """

    def __init__(self, store: Store, *, follow: Follow | None, on_race: Callable[[], None]) -> None:
        """`on_race` hears of each time that consequences had to be worked out again."""
        self._store = store
        self._follow = follow
        self._on_race = on_race
        self.noted: list[str] = []
        """Ids of outbound messages, in the order in which they were written."""

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply all changes and what follows from them, or nothing; see `ports.Ledger`.

        Raises Contended where others kept changing what the consequences are about.
        """
        if self._follow is None or not any(isinstance(change, _CAUSES) for change in changes):
            return self._noting(changes)
        for _ in range(RACES_MAX):
            following = self._follow(changes)
            lost = self._noting([*(_counted(change) for change in changes), *following])
            if lost is None:
                return None
            if not any(lost is change for change in following):
                return next((c for c in changes if isinstance(c, AddLabel) and _counted(c) == lost), lost)
            self._on_race()
        raise Contended("what follows from a change kept losing its race")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _noting(self, changes: Sequence[Change]) -> Change | None:
        lost = self._store.apply(changes)
        if lost is None:
            self.noted += [
                change.message.message_id
                for change in changes
                if isinstance(change, AddMessage) and change.message.direction is Direction.OUTBOUND
            ]
        return lost


_CAUSES: Final = (AddLabel, DecideTransaction, MoveTransaction)


def consequences(
    changes: Sequence[Change],
    *,
    store: Store,
    engine: Callable[[], FeatureEngine],
    sender: Sender,
    clock: Clock,
    randomness: Randomness,
) -> list[Change]:
    """Return what follows from a list: states with its labels counted, and the callbacks and alerts it is worth."""
    following = _label_effects(changes, store=store, engine=engine)
    if not (sender.has(CALLBACK_CHANNEL) or sender.has(ALERT_CHANNEL)):
        return following
    now_ms = clock.now_ms()
    after = cast("Store", _After(store, changes))
    for change in changes:
        entry = _entry(change, number=now_ms * _PLACES_PER_MS + int(randomness.token(8), 16) % _PLACES_PER_MS)
        if entry is not None:
            following += tell(entry, store=after, sender=sender, now_ms=now_ms)
    return following


def _counted(change: Change) -> Change:
    """Return a label as one whose effect is among the same changes."""
    return msgspec.structs.replace(change, applied=True) if isinstance(change, AddLabel) else change


def _label_effects(changes: Sequence[Change], *, store: Store, engine: Callable[[], FeatureEngine]) -> list[Change]:
    """Return the states that count a list's labels; several labels of one account change the same ones."""
    changed = _Changed(store)
    for change in changes:
        if not isinstance(change, AddLabel) or change.applied:
            continue
        record = store.transaction(change.label.transaction_id)
        by = 0 if record is None else fraud_change(log_detail(change.label, record.label))
        if record is not None and by:
            changed.take(effect_on(record, by, store=cast("Store", changed), engine=engine()))
    return changed.states_to_put()


def _entry(change: Change, *, number: int) -> LogEntry | None:
    match change:
        case DecideTransaction(transaction_id=key, status=status):
            return LogEntry(number, "transaction.decided", key, status.value)
        case MoveTransaction(transaction_id=key, status=status, cause=cause):
            return LogEntry(number, "transaction.moved", key, f"{status.value}:{cause}")
    return None


class _Changed:
    """A store in which some states are changed already."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._first: dict[tuple[str, str], int] = {}
        self._put: dict[tuple[str, str], PutState] = {}

    def take(self, states: Sequence[PutState]) -> None:
        for state in states:
            key = (state.entity, state.key)
            self._first.setdefault(key, state.version)
            self._put[key] = state

    def states_to_put(self) -> list[Change]:
        """Return each state once, under the version that follows the stored one."""
        return [msgspec.structs.replace(state, version=self._first[key]) for key, state in self._put.items()]

    def states(self, keys: Sequence[tuple[str, str]]) -> Sequence[tuple[int, bytes] | None]:
        stored = self._store.states([key for key in keys if key not in self._put])
        rest = iter(stored)
        return [(self._put[key].version, self._put[key].blob) if key in self._put else next(rest) for key in keys]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _After:
    """A store in which a list of changes has done to payments what callbacks tell of them."""

    def __init__(self, store: Store, changes: Sequence[Change]) -> None:
        self._store = store
        self._changes = changes

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        record = self._store.transaction(transaction_id)
        if record is None:
            return None
        for change in self._changes:
            match change:
                case DecideTransaction(transaction_id=key, status=status, decision=decision) if key == transaction_id:
                    record = msgspec.structs.replace(record, status=status, decision=decision)
                case MoveTransaction(transaction_id=key, status=status) if key == transaction_id:
                    record = msgspec.structs.replace(record, status=status)
                case PutChallenge(challenge=challenge) if challenge.transaction_id == transaction_id:
                    record = msgspec.structs.replace(record, challenge=challenge)
        return record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
