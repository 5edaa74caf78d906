"""The event stream of the page: one poller of the change log for all listeners, while there are any.

Payments are decided on the same thread, so each turn does a bounded amount of work: what happened to many payments
since the last turn becomes one event with the newest of them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import msgspec
import structlog

from cardwatch.console.rows import Counts, PhoneEntry, Row, is_history, show_payment
from cardwatch.console.snapshot import decided_since_start, flagged_and_newest, log_head, phone_entries
from cardwatch.console.stopping import call_at_stop
from cardwatch.console.tally import FLAGGED, Tally
from cardwatch.domain.errors import OperatingError
from cardwatch.ports import LogEntry
from cardwatch.runtime.application import Application

TURN_S = 0.15
HEARTBEAT_S = 15.0
ENTRIES_MAX = 2000
"""Log entries read in a turn: 13,000 a second, above what one writer commits. Also how far back a stream resumes."""

ROWS_MAX = 50
"""Payments in one event; the page shows no more."""

LISTENERS_MAX = 64
_BACKLOG_MAX = 100
"""Events that wait for a slow listener before its stream ends; it resumes where it was."""

_PHONES_EVERY_TURNS = 7
"""Phones are looked up about once a second, whatever happens."""

_TEXTS_LOOKED_AT = 50
_WATCHED_PHONES_MAX = 8
"""Phones whose texts are looked at in a turn; more take turns."""

_log = structlog.get_logger(__name__)


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of an event: what is new; a snapshot has everything."""

    payments: tuple[Row, ...] = ()
    counts: Counts | None = None
    phones: Sequence[PhoneEntry] | None = None


class TooManyListeners(Exception):
    """All places are taken."""


class Listener:
    """One open stream, and the phone whose texts it wants to hear of."""

    def __init__(self, phone: str | None) -> None:
        self.phone = phone
        self.texts: int | None = None
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()


class Feed:
    """What all listeners of an application hear."""

    def __init__(self, application: Application, *, turn_s: float = TURN_S, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._application = application
        self._simulated = application.provider.simulated
        self._turn_s = turn_s
        self._heartbeat_s = heartbeat_s
        self._listeners: list[Listener] = []
        self._poller: asyncio.Task[None] | None = None
        self._hears_signals = False
        self._closed = False
        self._turns = 0
        self._position = 0
        self._tally = Tally(decided=0)
        self._counts: Counts | None = None
        self._phones: Sequence[PhoneEntry] | None = None

    def join(self, *, after: int | None, phone: str | None) -> Listener:
        """Open a stream from a position of the change log on, or with a snapshot where that is too far back.

        Raises TooManyListeners.
        """
        if len(self._listeners) >= LISTENERS_MAX:
            raise TooManyListeners
        if not self._listeners:
            self._begin()
        listener = Listener(phone if self._simulated else None)
        listener.queue.put_nowait(b"retry: 2000\n\n" + self._opening(after))
        if self._closed:
            listener.queue.put_nowait(None)
        self._listeners.append(listener)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        return listener

    async def events(self, listener: Listener) -> AsyncIterator[bytes]:
        """Yield a listener's events, with a sign of life in times of silence, until the process stops."""
        try:
            while True:
                try:
                    event = await asyncio.wait_for(listener.queue.get(), self._heartbeat_s)
                except TimeoutError:
                    event = b"event: beat\ndata: {}\n\n"
                if event is None:
                    return
                yield event
        finally:
            self._leave(listener)

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        for listener in self._listeners:
            listener.queue.put_nowait(None)

    def _leave(self, listener: Listener) -> None:
        with suppress(ValueError):  # it left before
            self._listeners.remove(listener)

    def _begin(self) -> None:
        """Catch up after a time in which nobody listened: a little by the log, a lot by counting anew."""
        if not self._hears_signals:
            self._hears_signals = True
            call_at_stop(self.close)
        head = log_head(self._application)
        if self._counts is None or head - self._position > ENTRIES_MAX:
            self._position, self._tally = head, Tally(decided=decided_since_start(self._application))
            for _ in FLAGGED:
                self._tally.count_on(self._application)
        self._phones = phone_entries(self._application)
        self._counts = self._count()

    def _opening(self, after: int | None) -> bytes:
        """Make the first event: what happened since `after`, or everything the page shows."""
        assert self._phones is not None  # noqa: S101  _begin went before
        if after is not None and self._position - ENTRIES_MAX <= after <= self._position:
            missed = [e for e in self._application.log(after=after, limit=ENTRIES_MAX) if e.sequence <= self._position]
            if len({entry.key for entry in missed}) <= ROWS_MAX:
                return self._event("change", Change(self._rows(missed), self._counts, self._phones))
        records = flagged_and_newest(self._application, limit=ROWS_MAX)
        rows = tuple(show_payment(record, phones=self._simulated) for record in records)
        return self._event("snapshot", Change(rows, self._counts, self._phones))

    async def _poll(self) -> None:
        while self._listeners and not self._closed:
            await asyncio.sleep(self._turn_s)
            try:
                self._turn()
            except OperatingError as error:
                _log.warning("console_turn_postponed", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001  the streams end and their pages come back; the cause is logged
                _log.error("console_turn_failed", exc_info=error)
                for listener in self._listeners:
                    listener.queue.put_nowait(None)
                return

    def _turn(self) -> None:
        self._turns += 1
        entries = self._application.log(after=self._position, limit=ENTRIES_MAX)
        for entry in entries:
            self._tally.follow(entry)
        rows = self._rows(entries)
        self._tally.count_on(self._application)
        counts, phones = self._count(), self._look_up_phones()
        if entries:
            self._position = entries[-1].sequence
        news = Change(rows, counts if counts != self._counts else None, phones if phones != self._phones else None)
        self._counts, self._phones = counts, phones
        if news != Change():
            self._tell(self._listeners, self._event("change", news))
        self._look_at_texts()

    def _rows(self, entries: Sequence[LogEntry]) -> tuple[Row, ...]:
        """Read the payments that entries are about: what changed of older ones first, then the newest."""
        new = {entry.key: None for entry in entries if entry.kind == "transaction.recorded"}
        changed = {entry.key: None for entry in entries if entry.key not in new}
        keys = list(changed)[-ROWS_MAX // 2 :]
        keys += list(new)[-(ROWS_MAX - len(keys)) :]
        found = (self._application.transaction(key) for key in keys)
        return tuple(
            show_payment(record, phones=self._simulated)
            for record in found
            if record is not None and not is_history(record)
        )

    def _count(self) -> Counts:
        challenged, in_review, declined = (self._tally.count(status) for status in FLAGGED)
        return Counts(self._tally.decided, challenged, in_review, declined)

    def _look_up_phones(self) -> Sequence[PhoneEntry] | None:
        if self._turns % _PHONES_EVERY_TURNS:
            return self._phones
        return phone_entries(self._application)

    def _look_at_texts(self) -> None:
        """Tell who watches a phone that its texts changed: texts are no part of the change log."""
        phones = sorted({listener.phone for listener in self._listeners if listener.phone is not None})
        start = self._turns * _WATCHED_PHONES_MAX % len(phones) if len(phones) > _WATCHED_PHONES_MAX else 0
        for phone in (phones[start:] + phones[:start])[:_WATCHED_PHONES_MAX]:
            texts = self._application.conversation(phone, limit=_TEXTS_LOOKED_AT)
            mark = hash(tuple((text.message_id, text.version, text.state.value) for text in texts))
            behind = [one for one in self._listeners if one.phone == phone and one.texts != mark]
            for listener in behind:
                listener.texts = mark
            self._tell(behind, b"event: texts\ndata: " + msgspec.json.encode({"phone": phone}) + b"\n\n")

    def _tell(self, listeners: Sequence[Listener], event: bytes) -> None:
        for listener in list(listeners):
            if listener.queue.qsize() >= _BACKLOG_MAX:
                self._leave(listener)
                listener.queue.put_nowait(None)
            else:
                listener.queue.put_nowait(event)

    def _event(self, name: str, change: Change) -> bytes:
        return f"event: {name}\nid: {self._position}\ndata: ".encode() + msgspec.json.encode(change) + b"\n\n"
