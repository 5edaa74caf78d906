"""What was erased is in no byte of the data folder."""

import random
from pathlib import Path

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.changes import AddChallenge, AddLabel, AddMessage, AddTransaction, EraseAccount, PutAccount
from tests.builders import NOW_MS, make_account, make_challenge, make_label, make_message, make_reply, make_transaction


def phone_of(number: int) -> str:
    """Return an account's own phone number."""
    return f"+1303{number:07}"


def fill(store: SqliteStore, count: int) -> None:
    """Add accounts with a payment, a challenge, texts and a label each, in random order and of random sizes."""
    dice = random.Random(count)
    for number in dice.sample(range(count), count):
        user_id, phone, key = f"user_{number:05}", phone_of(number), f"{dice.getrandbits(64):016x}"
        personal = {"note": f"call {phone} " * dice.randrange(20)}
        store.apply(
            [
                PutAccount(make_account(user_id, phone_number=phone, name="N" * dice.randrange(200))),
                AddTransaction(make_transaction(key, user_id=user_id, ip=f"ip {phone}", metadata=personal)),
                AddChallenge(make_challenge(f"c{key}", transaction_id=key, user_id=user_id, phone=phone)),
                AddMessage(make_message(f"m{key}", transaction_id=key, address=phone, body=f"about {phone}")),
                AddMessage(make_reply(f"r{key}", address=phone, body=f"from {phone}")),
                AddLabel(make_label(key, note=f"said {phone}"), None),
            ]
        )


def bytes_on_disk(path: Path) -> bytes:
    """Return the content of every file of the data folder."""
    return b"".join(item.read_bytes() for item in path.parent.iterdir())


def test_an_erased_phone_is_nowhere_on_disk(store: SqliteStore, path: Path) -> None:
    """While the store stays open: neither in the database nor in the write-ahead log."""
    with store.group():
        fill(store, 20)
    assert phone_of(7).encode() in bytes_on_disk(path)
    assert store.apply([EraseAccount("user_00007", NOW_MS)]) is None
    on_disk = bytes_on_disk(path)
    assert phone_of(7).encode() not in on_disk
    assert phone_of(8).encode() in on_disk


def test_erasing_in_a_group_and_beside_a_reader(store: SqliteStore, path: Path) -> None:
    """A reader in the way delays the clean-up to a later commit, never prevents it."""
    store._database.one("PRAGMA busy_timeout = 10")
    with store.group():
        fill(store, 20)
    reader = store.reader()
    reader._database.run("BEGIN")
    assert reader.account("user_00007") is not None
    with store.group():
        assert store.apply([EraseAccount("user_00007", NOW_MS)]) is None
    reader._database.run("ROLLBACK")
    assert store.apply([AddTransaction(make_transaction())]) is None
    assert phone_of(7).encode() not in bytes_on_disk(path)
    assert reader.account("user_00007") is None
    reader.close()


def test_scrubbing_reaches_copies_of_moved_rows(store: SqliteStore, path: Path) -> None:
    """In a large file pages were split and keep old copies in their free space; a scrub leaves none."""
    count = 1500
    with store.group():
        fill(store, count)
    erased = range(0, count, 5)
    with store.group():
        for number in erased:
            assert store.apply([EraseAccount(f"user_{number:05}", NOW_MS)]) is None
    store.scrub()
    on_disk = bytes_on_disk(path)
    assert [number for number in erased if phone_of(number).encode() in on_disk] == []
    assert store._database.all("PRAGMA integrity_check") == [("ok",)]
    assert store._database.all("PRAGMA foreign_key_check") == []


def test_a_kill_before_the_clean_up_is_made_good_at_the_next_start(path: Path) -> None:
    """Opening a store empties the log that a killed process left."""
    store = SqliteStore(path)
    with store.group():
        fill(store, 20)
    store.begin_group()
    assert store.apply([EraseAccount("user_00007", NOW_MS)]) is None
    store._database.erased = False
    store.commit_group()
    files = {item.name: item.read_bytes() for item in path.parent.iterdir()}
    assert phone_of(7).encode() in b"".join(files.values())
    store.close()
    for name, content in files.items():
        (path.parent / name).write_bytes(content)
    store = SqliteStore(path)
    assert phone_of(7).encode() not in bytes_on_disk(path)
    store.close()
