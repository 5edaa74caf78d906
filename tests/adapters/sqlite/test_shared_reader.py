"""One reader serves the event loop and the threads that send texts."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cardwatch.adapters.sqlite import SqliteStore
from cardwatch.domain.changes import AddTransaction, PutAccount
from tests.builders import make_account, make_transaction

PAYMENTS = 50
READS = 4_000


def test_threads_take_turns_at_a_reader(tmp_path: Path) -> None:
    """Each gets its own rows, and the process lives: two threads on one cursor once brought it down."""
    store = SqliteStore(tmp_path / "cardwatch.db")
    store.apply([PutAccount(make_account()), *(AddTransaction(make_transaction(f"t{n}")) for n in range(PAYMENTS))])
    reader = store.reader()

    def read(number: int) -> bool:
        transaction_id = f"t{number % PAYMENTS}"
        record = reader.transaction(transaction_id)
        page = reader.transactions(limit=10)
        return record is not None and record.transaction.transaction_id == transaction_id and len(page.records) == 10

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(READS)))
    reader.close()
    store.close()
