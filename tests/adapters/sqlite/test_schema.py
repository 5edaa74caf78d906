"""Migrations, and that every listing has its index."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from cardwatch.adapters.sqlite import SqliteReader, SqliteStore, reads, writes
from cardwatch.adapters.sqlite.schema import migrate, released_steps, schema_version
from cardwatch.domain.changes import AddTransaction
from cardwatch.domain.errors import StoreCorrupt, StoreUnavailable
from tests.builders import make_transaction

NEXT = "CREATE TABLE notes (note TEXT) STRICT; INSERT INTO notes VALUES ('kept');"
BROKEN = "CREATE TABLE more (note TEXT) STRICT; INSERT INTO absent VALUES (1);"


def test_a_new_file_takes_every_step(store: SqliteStore) -> None:
    """A fresh store has the newest schema."""
    assert schema_version(store._database) == len(released_steps())


def test_opening_again_changes_nothing(path: Path) -> None:
    """Steps are taken once."""
    for _ in range(2):
        SqliteStore(path).close()
    store = SqliteStore(path)
    assert migrate(store._database, released_steps()) == 0
    store.close()


def test_an_older_file_takes_the_missing_steps(store: SqliteStore) -> None:
    """What was stored before stays, and the new step is there."""
    assert store.apply([AddTransaction(make_transaction())]) is None
    assert migrate(store._database, [*released_steps(), NEXT]) == 1
    assert schema_version(store._database) == len(released_steps()) + 1
    assert store._database.one("SELECT note FROM notes") == ("kept",)
    assert store.transaction("txn_1") is not None


def test_a_failing_step_leaves_the_file_as_it_was(store: SqliteStore) -> None:
    """Each step is one transaction; those before it stay taken."""
    said = r"cardwatch\.db cannot be brought from schema 4 to 5 \(no such table: absent\); restore a backup"
    with pytest.raises(StoreCorrupt, match=said):
        migrate(store._database, [*released_steps(), NEXT, BROKEN])
    assert schema_version(store._database) == len(released_steps()) + 1
    assert store._database.one("SELECT 1 FROM sqlite_master WHERE name = 'more'") is None
    assert store.apply([AddTransaction(make_transaction())]) is None


def test_rows_that_are_no_json_do_not_stop_a_migration(path: Path) -> None:
    """They stay as they were, all others come over: messages under their new names, opt-outs by their numbers."""
    path.parent.mkdir()
    first, *later = released_steps()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(f"{first} PRAGMA user_version = 1;")
        for key, body in (("m1", b'{"message_id":"m1","phone":"+12025550101","own_number":"x"}'), ("m2", b"{broken")):
            old.execute(
                "INSERT INTO messages (message_id, phone, created_at_ms, version, body) VALUES (?, 'p', 1, 1, ?)",
                (key, body),
            )
        for key, body in (
            ("u1", b'{"phone_number":"+12025550101","opted_out_at_ms":7}'),
            ("u2", b"{broken"),
            ("u3", b"\xff\x00"),
            ("u4", b'{"phone_number":"+12025550102","opted_out_at_ms":"seven"}'),
            ("u5", b"[]"),
        ):
            old.execute("INSERT INTO accounts (user_id, version, body) VALUES (?, 1, ?)", (key, body))
        old.commit()
    with closing(SqliteStore(path)) as store:
        assert schema_version(store._database) == 1 + len(later)
        assert store._database.all("SELECT * FROM opt_outs") == [("+12025550101", 7)]
        bodies: dict[str, bytes] = dict(store._database.all("SELECT message_id, body FROM messages"))
        assert msgspec.json.decode(bodies["m1"]) == {
            "message_id": "m1",
            "address": "+12025550101",
            "own_address": "x",
        }
        assert bodies["m2"] == b"{broken"
        with pytest.raises(StoreCorrupt, match="a stored message cannot be read"):
            store.message("m2")


def test_a_newer_file_is_one_clear_error(path: Path) -> None:
    """An older Cardwatch does not touch what a newer one wrote."""
    store = SqliteStore(path)
    store._database.run("PRAGMA user_version = 99")
    store.close()
    for opening in (SqliteStore, SqliteReader):
        with pytest.raises(StoreCorrupt, match=r"written by a newer Cardwatch \(schema 99, this one knows 3\)"):
            opening(path)


def test_a_reader_does_not_migrate(path: Path) -> None:
    """An older file is read only after the writer has brought it up to date."""
    path.parent.mkdir()
    sqlite3.connect(path).close()
    path.touch()
    with pytest.raises(StoreUnavailable, match="start `cardwatch serve` once"):
        SqliteReader(path)


def test_a_challenges_payment_is_found_by_its_index(store: SqliteStore) -> None:
    """Setting a challenge aside walks through no payments, nor does the check of what refers to it."""
    for sql in (writes._UNSET_CHALLENGE, "SELECT 1 FROM transactions WHERE challenge_id = ?"):
        plan = [row[3] for row in store._database.all(f"EXPLAIN QUERY PLAN {sql}", ("chl_1",))]
        assert [step for step in plan if "transactions_by_challenge" in step] == plan


@pytest.mark.parametrize(
    ("name", "parameters", "index"),
    [
        ("_TRANSACTION", 1, "sqlite_autoindex_transactions_1"),
        ("_LISTING", 2, "INTEGER PRIMARY KEY"),
        ("_LISTING_BY_ACCOUNT", 3, "transactions_by_account"),
        ("_LISTING_BY_ACCOUNT_AND_STATUS", 4, "transactions_by_account"),
        ("_LISTING_APPROVED", 2, "INTEGER PRIMARY KEY"),
        ("_LISTING_BY_STATUS", 3, "transactions_by_status"),
        ("_EXPORT", 2, "INTEGER PRIMARY KEY"),
        ("_EXPORT_LABELS", 2, "labels_by_transaction"),
        ("_ACCOUNTS", 2, "PRIMARY KEY"),
        ("_STATE", 2, "PRIMARY KEY"),
        ("_OPEN_BY_PHONE", 1, "challenges_open_by_phone"),
        ("_OPEN_BY_ACCOUNT", 1, "challenges_by_account"),
        ("_RECENT", 2, "challenges_asked"),
        ("_EXPIRED", 2, "challenges_open_by_expiry"),
        ("_DUE", 3, "messages_due"),
        ("_ABOUT", 1, "messages_by_challenge"),
        ("_TO_ESCALATE", 2, "challenges_to_escalate"),
        ("_CONVERSATION", 2, "messages_by_address"),
        ("_LOG", 2, "INTEGER PRIMARY KEY"),
    ],
)
def test_every_listing_has_its_index(store: SqliteStore, name: str, parameters: int, index: str) -> None:
    """No read sorts or scans: the plan's first step searches the index, and nothing needs a temporary tree."""
    rows = store._database.all(f"EXPLAIN QUERY PLAN {getattr(reads, name)}", (1,) * parameters)
    plan = [row[3] for row in rows]
    assert index in plan[0]
    assert plan[0].startswith("SEARCH")
    assert not [step for step in plan if "TEMP B-TREE" in step or step.startswith("SCAN")]
