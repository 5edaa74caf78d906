"""A payment that was exported and read again is the same to features as when it was served."""

import csv
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.importorskip("polars", reason="polars is not installed (extra: train)")

from bench.parity_population import Population

from cardwatch.adapters.clock import SystemRandomness
from cardwatch.adapters.memory.store import MemoryStore
from cardwatch.domain.history import HistoryRow
from cardwatch.features.encode import FIELDS, encode
from cardwatch.features.event import payment_event
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.dataset_formats import FORMATS
from cardwatch.learning.datasets import Dataset, Tokens
from cardwatch.learning.frames import Keys
from cardwatch.runtime.bootstrap import open_gazetteer
from cardwatch.services.export_payments import COLUMNS, export_rows
from cardwatch.services.put_account import put_account
from cardwatch.services.record_transaction import record_transaction

TOKENS = Tokens(b"sixteen bytes ok")
NOW_MS = 1_795_363_200_000

Encodings = dict[str, tuple[int, ...]]
"""The integers that features are computed from, by payment."""


@cache
def encodings() -> tuple[Encodings, Encodings, Encodings]:
    """Return the integers of payments as served, and as read again from an exported file by row and by column."""
    population, store, gazetteer = Population(500, seed=4), MemoryStore(), open_gazetteer()
    for number in range(population.accounts):
        if submission := population.account(number):
            put_account(population.user_id(number), submission, store=store, gazetteer=gazetteer, now_ms=NOW_MS)
    for number in range(population.size):
        payment = population.submission(number)
        record_transaction(payment, store=store, gazetteer=gazetteer, randomness=SystemRandomness(), now_ms=NOW_MS)
    records = [record.transaction for record, _ in store.export()]
    served = {
        payment.transaction_id: encode(payment_event(payment, store.account(payment.user_id))) for payment in records
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "exported.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *export_rows(store)])
        layout = FORMATS["cardwatch"]
        rows = [row for row in Dataset(path, layout, tokens=TOKENS, gazetteer=gazetteer) if isinstance(row, HistoryRow)]
        by_row = {row.transaction.transaction_id: encode(payment_event(row.transaction, row.account)) for row in rows}
        columns = PaymentColumns(path, layout, tokens=TOKENS, gazetteer=gazetteer)
        frames = [batch.frame for batch in columns.batches(Keys())]
    by_column = {
        name: tuple(integers)
        for frame in frames
        for name, integers in zip(frame["transaction_id"], frame.select(FIELDS).rows(), strict=True)
    }
    return served, by_row, by_column


def differing(fields: tuple[str, ...]) -> dict[str, int]:
    """Count the payments that differ in a field, for each way of reading the file."""
    served, *read = encodings()
    found = dict.fromkeys(fields, 0)
    for again in read:
        assert again.keys() == served.keys()
        for field in fields:
            at = FIELDS.index(field)
            found[field] += sum(again[name][at] != served[name][at] for name in served)
    return {field: count for field, count in found.items() if count}


def test_what_was_exported_is_what_was_served() -> None:
    """Amounts, times, keys, homes, and places with their names and countries, those found by text among them."""
    assert differing(FIELDS) == {}
