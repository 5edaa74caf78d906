"""The embedded store: one file, one writing connection, commits in groups.

One thread executes everything, with one exception: `commit_group` may run in another thread, so that the file's
synchronisation does not hold up an event loop. Until it returns, nothing else may touch this store; what must
read meanwhile does so through `reader()`, which has a connection of its own and sees what is committed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cardwatch.adapters.sqlite.checkpoint import Checkpointer
from cardwatch.adapters.sqlite.connection import Database, make_file, open_reader, open_writer
from cardwatch.adapters.sqlite.lock import WriterLock
from cardwatch.adapters.sqlite.reads import SqliteReads
from cardwatch.adapters.sqlite.schema import migrate, released_steps, require_schema
from cardwatch.adapters.sqlite.writes import WRITERS
from cardwatch.domain.changes import AddTransaction, Change
from cardwatch.domain.errors import OperatingError, StoreUnavailable

WAL_AUTOCHECKPOINT_PAGES: Final = 1_000
"""From this length of the write-ahead log on a commit carries it over itself, which takes it about 7 ms."""

WAL_AUTOCHECKPOINT_PAGES_BACKSTOP: Final = 16_000
"""The same while a checkpointer does that work: only when it cannot keep up."""

_TRIM: Final = (
    "DELETE FROM change_log WHERE sequence < ?1 AND sequence <= coalesce((SELECT min(position) FROM cursors), ?1)"
)


class SqliteStore(SqliteReads):
    """Every port of a store over one database file; the only writer of its folder while it is open."""

    def __init__(self, path: Path | str, *, wal_autocheckpoint_pages: int = WAL_AUTOCHECKPOINT_PAGES) -> None:
        """Open or create the database, and bring its schema up to date.

        Raises StoreUnavailable when another process writes the folder, StoreCorrupt when the file is damaged,
        of a newer Cardwatch, or of another program.
        """
        self._path = Path(path)
        make_file(self._path)
        self._lock = WriterLock(self._path.parent)
        self._in_group = False
        self._group_error: OperatingError | None = None
        try:
            database = open_writer(self._path, wal_autocheckpoint_pages=wal_autocheckpoint_pages)
        except BaseException:
            self._lock.release()
            raise
        super().__init__(database)
        try:
            migrate(database, released_steps())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file and the folder's lock; an open group is lost."""
        self._database.close()
        self._lock.release()

    def reader(self) -> "SqliteReader":
        """Open a second, read-only view of the same file."""
        return SqliteReader(self._path)

    def checkpointer(self) -> Checkpointer:
        """Open what keeps the write-ahead log short; from now on commits leave that to it, unless it falls behind."""
        checkpointer = Checkpointer(self._path)
        self._database.one(f"PRAGMA wal_autocheckpoint = {WAL_AUTOCHECKPOINT_PAGES_BACKSTOP}")
        return checkpointer

    # Ledger

    def apply(self, changes: Sequence[Change]) -> Change | None:
        """Apply all changes or none; return the first whose condition did not hold.

        When the store fails in the middle of a group, the whole group is rolled back, and every further call in it
        and its commit raise StoreUnavailable.
        """
        if not self._in_group:
            return self._apply_alone(changes)
        self._require_sound_group()
        try:
            return self._apply_in_group(changes)
        except OperatingError as error:
            self._group_error = error
            self._roll_back()
            raise

    def _apply_alone(self, changes: Sequence[Change]) -> Change | None:
        self._database.run("BEGIN IMMEDIATE")
        try:
            lost = _write(self._database, changes)
            if lost is None:
                self._commit()
        finally:
            self._roll_back()
        return lost

    def _apply_in_group(self, changes: Sequence[Change]) -> Change | None:
        if len(changes) == 1 and type(changes[0]) is AddTransaction:
            # The most frequent list needs no savepoint: past its condition only the store itself can fail.
            return _write(self._database, changes)
        run = self._database.run
        run("SAVEPOINT changes")
        try:
            lost = _write(self._database, changes)
        except BaseException:
            self._undo_changes()
            raise
        if lost is None:
            run("RELEASE changes")
        else:
            self._undo_changes()
        return lost

    def _require_sound_group(self) -> None:
        if self._group_error is not None:
            raise StoreUnavailable("the group was rolled back") from self._group_error

    def _undo_changes(self) -> None:
        # On some errors SQLite has already rolled the whole transaction back, and the savepoint with it.
        if self._database.in_transaction:
            self._database.run("ROLLBACK TO changes")
            self._database.run("RELEASE changes")

    @contextmanager
    def group(self) -> Iterator[None]:
        """Make the effects of all calls within durable together; on an exception none of them stays."""
        self.begin_group()
        try:
            yield
        except BaseException:
            self.roll_back_group()
            raise
        self.commit_group()

    def begin_group(self) -> None:
        """Start a group; groups do not nest."""
        if self._in_group:
            raise RuntimeError("a group is already open")
        self._database.run("BEGIN IMMEDIATE")
        self._in_group = True
        self._group_error = None

    def commit_group(self) -> None:
        """Make the group durable; may run in another thread while nothing else touches this store.

        Raises StoreUnavailable, and nothing of the group stays, when this or an earlier call of the group failed.
        """
        error, self._in_group, self._group_error = self._group_error, False, None
        if error is not None:
            raise StoreUnavailable("the group was rolled back") from error
        try:
            self._commit()
        finally:
            self._roll_back()

    def roll_back_group(self) -> None:
        """Take the group's effects back."""
        self._in_group, self._group_error = False, None
        self._roll_back()

    def _commit(self) -> None:
        self._database.run("COMMIT")
        if self._database.erased:
            self._empty_write_ahead_log()

    def _empty_write_ahead_log(self) -> None:
        """Drop the older pages, in which erased data still stands; what is in the way now is tried again later."""
        with suppress(StoreUnavailable):
            row = self._database.one("PRAGMA wal_checkpoint(TRUNCATE)")
            self._database.erased = row is None or row[0] != 0

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.run("ROLLBACK")

    def scrub(self) -> None:
        """Rewrite the file, so that no byte of what was erased is left in it; outside a group, then nothing else.

        Erased rows are overwritten at once, but pages may hold older copies of rows that moved to other pages. This
        takes about 13 s and twice the file's size in disk space per GB; it may run in another thread like a commit.
        """
        if self._in_group:
            raise RuntimeError("a group is open")
        # The copy would be built in memory otherwise.
        self._database.run("PRAGMA temp_store = FILE")
        try:
            self._database.run("VACUUM")
        finally:
            self._database.run("PRAGMA temp_store = MEMORY")
        self._database.erased = True
        self._empty_write_ahead_log()

    # Stream

    def trim_log(self, *, below: int) -> int:
        """Forget entries below a position, of those that every known cursor has passed; returns how many went."""
        self._require_sound_group()
        return self._database.run(_TRIM, (below,))


class SqliteReader(SqliteReads):
    """Every read verb over a connection that cannot write; sees what is committed, from any process."""

    def __init__(self, path: Path | str) -> None:
        """Open an existing store. Raises StoreUnavailable when there is none, or none of this schema."""
        super().__init__(open_reader(Path(path)))
        try:
            require_schema(self._database, released_steps())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _write(database: Database, changes: Sequence[Change]) -> Change | None:
    for change in changes:
        if not WRITERS[type(change)](database, change):
            return change
    return None
