"""Files of payments: every format is read, bad rows are told apart, and no card number comes through."""

import gzip
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.history import HistoryRow
from cardwatch.domain.money import Money
from cardwatch.domain.place import Place, place_at
from cardwatch.learning.dataset_formats import FORMATS, read_map
from cardwatch.learning.datasets import Dataset, Rejected, Tokens, usable_rows

TOKENS = Tokens(b"sixteen bytes ok")
DATA = Path(os.environ.get("CARDWATCH_BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
CARD = "4111111111111111"

SPARKOV = (
    ",trans_date_trans_time,cc_num,merchant,category,amt,first,city,state,zip,lat,long,trans_num,unix_time,"
    "merch_lat,merch_long,is_fraud\n"
    "0,2020-06-01 12:03:53,4111111111111111,fraud_Kihn-Fritsch,food_dining,1.58,Madera,Madera,CA,93637,36.9403,"
    "-120.082,b2,1,37.4,-120.1,0\n"
    '1,2020-06-01 12:00:25,4111111111111111,"fraud_Fadel, Hilpert",health,43.77,Alex,Madera,CA,32808,36.9403,'
    "-120.082,a1,1,36.8,-120.3,1\n"
)
HANDBOOK = """TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD
1,2018-04-01 00:00:31,596,3156,57.16,0
2,2018-04-01 00:02:10,4961,3412,1108.8500000000001,1
"""
CARDWATCH = (
    "transaction_id,user_id,amount,currency,merchant,merchant_id,timestamp,location,latitude,longitude,country,category,"
    "mcc,channel,device_id,label,label_source,available_at,status\n"
    "t1,u1,12.50,EUR,Café,cafe-1,2026-01-02T03:04:05.250+01:00,Paris,,,FR,coffee,5814,pos,d1,genuine,analyst,"
    "2026-01-09T00:00:00Z,approved\n"
    "t2,u1,99,USD,Shop,,2026-01-03T00:00:00Z,,47.6,-122.3,,,,,,,,,challenged\n"
)


class ParisOnly:
    """A gazetteer that knows one city."""

    def resolve(self, text: str, *, country: str | None = None) -> Place | None:
        """Return Paris for Paris."""
        return place_at(48.85, 2.35, name="Paris", country=country) if text == "Paris" else None


def written(tmp_path: Path, text: str, name: str = "payments.csv") -> Path:
    """Write a file, compressed where its name says so."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def read(path: Path, layout: str) -> list[HistoryRow | Rejected]:
    """Read a whole file."""
    return list(Dataset(path, FORMATS[layout], tokens=TOKENS, gazetteer=ParisOnly()))


def taken(path: Path, layout: str) -> list[HistoryRow]:
    """Read a file of which every row must be taken."""
    rows = read(path, layout)
    assert not [row for row in rows if isinstance(row, Rejected)]
    return [row for row in rows if isinstance(row, HistoryRow)]


def test_sparkov_rows_are_tokenised_ordered_and_placed(tmp_path: Path) -> None:
    """Cards become tokens, the prefix goes, time orders rows, home and merchant have their places."""
    first, second = taken(written(tmp_path, SPARKOV), "sparkov")
    assert (first.transaction.transaction_id, second.transaction.transaction_id) == ("a1", "b2")
    assert first.transaction.merchant == "Fadel, Hilpert"
    assert first.transaction.user_id == second.transaction.user_id == TOKENS.token(CARD)
    assert first.transaction.user_id.startswith("card_")
    assert CARD not in repr([first, second])
    assert first.account.home.location == "Madera, CA"
    assert first.account.home.place is not None
    assert first.transaction.merchant_place is not None
    assert (first.is_fraud, second.is_fraud) == (True, False)
    assert first.transaction.timestamp_ms == 1_591_012_825_000


def test_tokens_depend_on_the_key_and_need_one() -> None:
    """Another key gives another token; a short key is refused; spaces in a number do not matter."""
    assert Tokens(b"another sixteen b").token(CARD) != TOKENS.token(CARD)
    assert TOKENS.token("4111 1111 1111 1111") == TOKENS.token(CARD)
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Tokens(b"short")


def test_handbook_rows_have_ids_as_text_and_whole_cents(tmp_path: Path) -> None:
    """Numbers become ids, and the dust of binary floats goes from amounts."""
    first, second = taken(written(tmp_path, HANDBOOK), "handbook")
    assert (first.transaction.transaction_id, first.transaction.user_id) == ("1", "596")
    assert (first.transaction.merchant_id, first.transaction.amount) == ("3156", Money(5716, "USD"))
    assert second.transaction.amount == Money(110_885, "USD")
    assert (first.is_fraud, second.is_fraud) == (False, True)


def test_cardwatch_rows_come_back_as_they_were_exported(tmp_path: Path) -> None:
    """Offsets, places by text and by coordinates, labels and when they were known are all read."""
    first, second = taken(written(tmp_path, CARDWATCH), "cardwatch")
    assert first.transaction.timestamp_ms == 1_767_319_445_250
    assert first.transaction.amount == Money(1250, "EUR")
    assert first.transaction.place is not None
    assert (first.is_fraud, first.label_source) == (False, "analyst")
    assert first.label_available_ms == 1_767_916_800_000
    assert second.transaction.place is not None
    assert (second.transaction.merchant_id, second.is_fraud) == ("shop", None)


@pytest.mark.parametrize("name", ["payments.csv", "payments.csv.gz", "payments.parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    """csv, csv.gz and parquet of the same payments are the same history."""
    path = tmp_path / name
    if name.endswith("parquet"):
        pl.read_csv(HANDBOOK.encode(), try_parse_dates=True).write_parquet(path)
    else:
        written(tmp_path, HANDBOOK, name)
    assert taken(path, "handbook") == taken(written(tmp_path, HANDBOOK, "plain.csv"), "handbook")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("3,yesterday,1,1,5.00,0", "timestamp is no date"),
        ("3,,1,1,5.00,0", "timestamp is no date"),
        (",2018-04-01 00:00:00,1,1,5.00,0", "transaction_id is missing"),
        ("3,2018-04-01 00:00:00,,1,5.00,0", "user_id is missing"),
        ("3,2018-04-01 00:00:00,1,1,five,0", "amount is not a number"),
        ("3,2018-04-01 00:00:00,1,1,0.00,0", "amount must be a number greater than 0"),
        ("3,2018-04-01 00:00:00,1,1,nan,0", "amount must be a number greater than 0"),
        ("3,2018-04-01 00:00:00,1,1,5.005,0", "amount must have at most 2 decimals"),
        ("3,2018-04-01 00:00:00,1,1,1e30,0", "amount must be at most"),
        ("3,2018-04-01 00:00:00,1,1,5.00,perhaps", "label must be"),
        (f"3,2018-04-01 00:00:00,1,shop {CARD},5.00,0", "merchant holds a full card number"),
        (f"3,2018-04-01 00:00:00,1,{'m' * 201},5.00,0", "merchant is too long"),
        ("3,2018-04-01 00:00:00,a\x1fb,1,5.00,0", "user_id holds a control character"),
    ],
)
def test_a_bad_row_is_told_with_its_reason_and_stops_nothing(tmp_path: Path, line: str, reason: str) -> None:
    """The row's number and reason are given, never its values, and every other row is taken."""
    rejected: list[Rejected] = []
    dataset = Dataset(written(tmp_path, HANDBOOK + line + "\n"), FORMATS["handbook"], tokens=TOKENS)
    assert len(list(usable_rows(dataset, reject=rejected.append))) == 2
    assert [row.row for row in rejected] == [3]
    assert rejected[0].reason.startswith(reason)
    assert CARD not in rejected[0].reason


def test_a_card_number_among_ids_becomes_a_token(tmp_path: Path) -> None:
    """Where a user id or a device is a full card number, its token takes its place."""
    text = CARDWATCH.replace("t2,u1", f"t2,{CARD}")
    rows = taken(written(tmp_path, text), "cardwatch")
    assert rows[1].transaction.user_id == TOKENS.token(CARD)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("absent.csv", None, "no such file"),
        ("payments.xlsx", "x", "is not a .csv"),
        ("empty.csv", "", "cannot be read"),
        ("broken.parquet", "no parquet", "cannot be read"),
        ("other.csv", "a,b\n1,2\n", "the column TRANSACTION_ID is missing"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(
    tmp_path: Path, name: str, content: str | None, complaint: str
) -> None:
    """Missing files, unknown endings, empty and broken files and missing columns each have their line."""
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInput, match=complaint) as caught:
        Dataset(path, FORMATS["handbook"], tokens=TOKENS)
    assert "\n" not in str(caught.value)


def test_columns_that_are_not_read_are_named_once(tmp_path: Path) -> None:
    """One notice names what is ignored; a nameless index column is not worth one."""
    notice = Dataset(written(tmp_path, SPARKOV), FORMATS["sparkov"], tokens=TOKENS).notice
    assert notice is not None
    assert notice.endswith("not read: first, zip, unix_time")
    assert Dataset(written(tmp_path, HANDBOOK), FORMATS["handbook"], tokens=TOKENS).notice is None


def test_a_map_reads_any_columns(tmp_path: Path) -> None:
    """A JSON object from fields to columns makes a format; faults in it are one line each."""
    fields = {"transaction_id": "TRANSACTION_ID", "user_id": "CUSTOMER_ID", "merchant": "TERMINAL_ID"}
    fields |= {"amount": "TX_AMOUNT", "timestamp": "TX_DATETIME"}
    layout = read_map(written(tmp_path, json.dumps(fields), "map.json"))
    rows = list(Dataset(written(tmp_path, HANDBOOK), layout, tokens=TOKENS))
    assert all(isinstance(row, HistoryRow) and row.is_fraud is None for row in rows)
    for text, complaint in (
        ("[]", "is no JSON object"),
        (json.dumps({**fields, "aura": "x"}), "aura is no field"),
        (json.dumps({"amount": "x"}), "transaction_id needs a column"),
    ):
        with pytest.raises(InvalidInput, match=complaint):
            read_map(written(tmp_path, text, "bad.json"))


def benchmark_rows(name: str, layout: str, count: int) -> Iterator[HistoryRow | Rejected]:
    """Return the first rows of a file of the benchmark data, skipping the test where it is missing."""
    if not (DATA / name).is_file():
        pytest.skip(f"{name} is not in {DATA} (CARDWATCH_BENCH_DATA)")
    return islice(Dataset(DATA / name, FORMATS[layout], tokens=TOKENS), count)


@pytest.mark.data
def test_kaggles_own_file_is_read_whole() -> None:
    """Every row of the sample is taken, without a prefix, and nothing of it looks like a card number."""
    rows = list(benchmark_rows("fraudTrain_sample.csv", "sparkov", 10**9))
    assert len(rows) == 10_729
    for row in rows:
        assert isinstance(row, HistoryRow)
        assert not row.transaction.merchant.startswith("fraud_")
        assert not contains_card_number(row.transaction.user_id)


@pytest.mark.data
def test_the_handbooks_file_is_read_in_order() -> None:
    """Rows come in order of time; amounts of zero are the only ones refused."""
    rows = list(benchmark_rows("handbook.parquet", "handbook", 60_000))
    times = [row.transaction.timestamp_ms for row in rows if isinstance(row, HistoryRow)]
    assert times == sorted(times)
    assert {row.reason for row in rows if isinstance(row, Rejected)} <= {"amount must be a number greater than 0"}
