"""Payments by column are the payments by row: the same integers, keys, labels and refusals, whatever a file holds."""

import gzip
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cardwatch.domain.history import HistoryRow
from cardwatch.features.encode import FIELDS, encode
from cardwatch.features.event import payment_event
from cardwatch.learning.coded import coded, combined, encoded
from cardwatch.learning.columns import PaymentColumns
from cardwatch.learning.dataset_formats import FORMATS, OPTIONAL, REQUIRED, Format
from cardwatch.learning.datasets import Dataset, Rejected, Tokens
from cardwatch.learning.fields import milliseconds
from cardwatch.learning.frames import COLUMNS, KEYED, NO_KEY, Batch, HistoryColumns, Keys
from cardwatch.learning.instants import ABSENT, KNOWN, UNREADABLE, instants
from tests.learning.test_datasets import DATA, ParisOnly

TOKENS = Tokens(b"sixteen bytes ok")
CARD = "4111111111111111"
HOSTILE = [
    "",
    " ",
    "0",
    "-0.0",
    "nan",
    "inf",
    " a ",
    "a\x1c",
    "\u00a0b",
    "İ",
    CARD,
    "4111 1111-1111 1111",
    "٤111111111111111",
    "m" * 65,
    "m" * 201,
    "Paris",
    " paris",
    "ONLINE",
    "Ünïcode, \u2028",
    "fraud_",
    "fraud_Shop  A",
    "shop a",
    '"',
    "FR",
    "USD",
    "JPY",
    "KWD",
    "XXX",
]
AMOUNTS = [
    "5",
    "5.00",
    "1108.8500000000001",
    "0.005",
    "1e3",
    "1e30",
    "1_0",
    "-1",
    "0",
    "NaN",
    "sNaN",
    "Infinity",
    "5,0",
]
AMOUNTS += ["999999999999.99", "10000000000", "10000000000.01", "0.1234567", "1.9999999", "1e-50", "99.995", "x" * 201]
TIMES = [
    "2018-04-01 00:00:31",
    "2018-04-01T23:59:59",
    "2018-04-01T23:59:59.1Z",
    "2018-04-01T23:59:59.1239+02:00",
    "2018-04-01T23:59:59.123456789-11:30",
    "2018-04-01T23:59:60",
    "2018-02-30 00:00:00",
    "2018-4-1 0:0:0",
    "2018-04-01",
    "2018-04-01 24:00:00",
    "1969-12-31 23:59:59",
    "1970-01-01T00:00:00+01:00",
    "0000-01-01 00:00:00",
    "9999-12-31 23:59:59",
    "2018-04-01 00:00:31\n",
    " 2018-04-01 00:00:31",
    "2018-04-01T00:00:31z",
    "20180401T000031",
    "1522540831",
    "²",
    "99999999999999999999",
    "-1",
    "yesterday",
]
NUMBERS = ["47.6", "-122.3", "90", "-90.0001", "181", "nan", "1e400", "0", "-0", "1_0", "east"]
ZONES = ["UTC", "America/Chicago", "Asia/Kathmandu", "Mars/Base", "utc"]
LABELS = ["fraud", "genuine", "1", "0", "1.0", "TRUE", "perhaps", "2"]
OF_FIELDS: dict[str, list[str]] = {
    "amount": AMOUNTS,
    "timestamp": TIMES,
    "label_available_at": TIMES,
    "time_zone": ZONES,
    "label": LABELS,
    "label_source": ["analyst", "nobody"],
    **{field: NUMBERS for field in (*REQUIRED, *OPTIONAL) if field.endswith(("latitude", "longitude"))},
}
GOOD = {
    "transaction_id": ["t1", "t2", "t3", "10", "9"],
    "user_id": ["u1", "u2", CARD, " u1"],
    "amount": ["5", "5.00", "12.5"],
    "merchant": ["Shop", "shop", "fraud_Shop"],
    "timestamp": ["2018-04-01 00:00:31", "2018-04-01T00:00:31Z", "1522540831", "2018-07-01T12:00:00.250+02:00"],
    "currency": ["", "USD", "EUR"],
    "label": ["", "1", "fraud", "0"],
    "time_zone": ["", "UTC", "America/Chicago"],
}


def texts(field: str) -> st.SearchStrategy[str | None]:
    """Values of a field: mostly good ones, so that rows get past the first check."""
    good = st.sampled_from(GOOD.get(field, [""]))
    hostile = st.sampled_from([*OF_FIELDS.get(field, []), *HOSTILE]) | st.none()
    return st.one_of(good, good, good, good, good, st.sampled_from(OF_FIELDS.get(field, HOSTILE)), hostile)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Format, pl.DataFrame]:
    """Draw a format and a table of text for it; columns stand in any order."""
    known = draw(st.sampled_from(["handbook", "sparkov", "cardwatch"]))
    layout = FORMATS[known]
    present = [field for field in layout.columns if field not in layout.optional or draw(st.booleans())]
    rows = draw(st.integers(1, 8))
    columns = {
        layout.columns[field]: pl.Series(
            draw(st.lists(texts(field), min_size=rows, max_size=rows)), dtype=pl.String, strict=True
        )
        for field in draw(st.permutations(present))
    }
    if known == "sparkov":
        columns["cc_num"] = pl.Series(
            draw(st.lists(st.sampled_from([CARD, "378282246310005", "x"]), min_size=rows, max_size=rows))
        )
    return layout, pl.DataFrame(columns)


TYPED: dict[str, st.SearchStrategy[pl.Series]] = {}


def typed(values: st.SearchStrategy[Any], dtype: Any) -> st.SearchStrategy[pl.Series]:
    """Six values of a type, some missing."""
    return st.lists(values | st.none(), min_size=6, max_size=6).map(lambda drawn: pl.Series(drawn, dtype=dtype))


MOMENTS = st.datetimes(datetime(1969, 1, 1), datetime(9999, 12, 31))  # noqa: DTZ001  as files hold them
NUMERIC = st.one_of(
    typed(st.integers(-5, 2**31 - 1), pl.Int64),
    typed(st.integers(0, 127), pl.Int8),
    typed(st.integers(0, 2**64 - 1), pl.UInt64),
    typed(st.floats(-10, 300) | st.sampled_from([0.0, -0.0, float("nan"), float("inf"), 1e300]), pl.Float64),
    typed(st.floats(0, 300, width=32), pl.Float32),
    typed(st.booleans(), pl.Boolean),
    typed(st.decimals(0, 1000, places=3), pl.Decimal(12, 3)),
    typed(st.nothing(), pl.Null),
)
TIMED = st.one_of(
    NUMERIC,
    typed(MOMENTS, pl.Datetime("us")),
    typed(MOMENTS, pl.Datetime("ms")),
    typed(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), pl.Datetime("ns")),  # noqa: DTZ001
    typed(MOMENTS.map(lambda at: at.replace(tzinfo=UTC)), pl.Datetime("us", "UTC")),
    typed(st.dates(datetime(1969, 1, 1).date(), datetime(9999, 12, 31).date()), pl.Date),  # noqa: DTZ001
    typed(st.floats(-1, 2e9) | st.floats(0, 3e11), pl.Float64),
    typed(st.times(), pl.Time),
)


@st.composite
def typed_tables(draw: st.DrawFn) -> tuple[Format, pl.DataFrame]:
    """Draw a table whose columns have types of their own, as parquet holds them."""
    fields = ["currency", "label", "latitude", "longitude", "device_id", "label_available_at"]
    layout = Format(name="own", columns={field: field for field in (*REQUIRED, *fields)}, optional=frozenset(fields))
    columns: dict[str, pl.Series] = {}
    for field in (*REQUIRED, *fields):
        if field in REQUIRED or draw(st.booleans()):
            as_text = st.lists(texts(field), min_size=6, max_size=6).map(
                lambda drawn: pl.Series(drawn, dtype=pl.String)
            )
            time = field in {"timestamp", "label_available_at"}
            columns[field] = draw(as_text | (TIMED if time else NUMERIC))
    return layout, pl.DataFrame(columns)


def by_column(path: Path, layout: Format, rows: int = 3) -> tuple[pl.DataFrame, list[Rejected], Keys]:
    """Read a file by column, a few rows at a time."""
    keys = Keys()
    batches = list(PaymentColumns(path, layout, tokens=TOKENS, gazetteer=ParisOnly()).batches(keys, rows=rows))
    return pl.concat([batch.frame for batch in batches]), [row for batch in batches for row in batch.rejected], keys


def by_row(path: Path, layout: Format) -> tuple[list[HistoryRow], list[Rejected]]:
    """Read a file by row."""
    rows = list(Dataset(path, layout, tokens=TOKENS, gazetteer=ParisOnly()))
    taken = [row for row in rows if isinstance(row, HistoryRow)]
    return taken, [row for row in rows if isinstance(row, Rejected)]


def assert_same(path: Path, layout: Format, rows: int = 3) -> None:
    """Assert that both ways of reading a file agree in everything."""
    frame, rejected, keys = by_column(path, layout, rows)
    taken, refused = by_row(path, layout)
    assert sorted(refused, key=lambda row: row.row) == rejected
    frame = frame.sort("time_ms", "transaction_id", "row")
    assert tuple(frame.columns) == (*COLUMNS, *FIELDS)
    events = [payment_event(row.transaction, row.account) for row in taken]
    assert frame["transaction_id"].to_list() == [row.transaction.transaction_id for row in taken]
    assert frame["time_ms"].to_list() == [row.transaction.timestamp_ms for row in taken]
    assert frame["amount_minor"].to_list() == [row.transaction.amount.minor for row in taken]
    assert frame["currency"].to_list() == [row.transaction.amount.currency for row in taken]
    assert frame["fraud"].to_list() == [None if row.is_fraud is None else int(row.is_fraud) for row in taken]
    assert frame["available_ms"].to_list() == [row.label_available_ms for row in taken]
    for entity in KEYED:
        names = {code: name for name, code in keys.numbers[entity].items()} | {NO_KEY: None}
        assert [names[code] for code in frame[entity]] == [getattr(event, entity) or None for event in events]
    assert frame.select(FIELDS).rows() == [encode(event) for event in events]


@given(tables())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_tables_are_the_same_by_column_and_by_row(drawn: tuple[Format, pl.DataFrame]) -> None:
    """In every format, as csv, csv.gz and parquet: same integers, keys, labels; same rows refused for same reasons."""
    layout, table = drawn
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "payments.csv"
        table.write_csv(plain)
        packed = Path(folder) / "payments.csv.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        parquet = Path(folder) / "payments.parquet"
        table.write_parquet(parquet)
        for path in (plain, packed, parquet):
            assert_same(path, layout)


@given(typed_tables())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_typed_columns_are_the_same_by_column_and_by_row(drawn: tuple[Format, pl.DataFrame]) -> None:
    """Numbers, dates, decimals and missing values in parquet mean the same to both."""
    layout, table = drawn
    with TemporaryDirectory() as folder:
        path = Path(folder) / "payments.parquet"
        table.write_parquet(path)
        assert_same(path, layout)


@given(st.lists(st.sampled_from(TIMES) | st.datetimes().map(str) | st.text(max_size=25) | st.none(), min_size=1))
@settings(deadline=None)
def test_columns_of_times_as_text_are_read_as_single_times_are(column: list[str | None]) -> None:
    """What is read at once is what the function for one value says."""
    times_ms, found = instants(pl.Series(column, dtype=pl.String))
    for text, time_ms, state in zip(column, times_ms.tolist(), found.tolist(), strict=True):
        expected = None if text is None or text == "" else milliseconds(text)
        assert (time_ms if state == KNOWN else None) == expected
        assert (state == ABSENT) == (text is None or text == "")


@given(
    st.datetimes(datetime(1965, 1, 1), datetime(9999, 12, 30)),  # noqa: DTZ001
    st.integers(-1439, 1439),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
    st.sampled_from([" ", "T"]),
)
@settings(deadline=None)
def test_offsets_and_fractions_are_read_at_their_positions(
    at: datetime, minutes: int, precision: str, between: str
) -> None:
    """Every offset to the minute, with and without a fraction of a second."""
    text = at.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat(between, precision)
    times_ms, found = instants(pl.Series([text]))
    assert (int(times_ms[0]) if found[0] == KNOWN else None) == milliseconds(text)
    assert found[0] in {KNOWN, UNREADABLE}


@given(st.one_of(TIMED, typed(st.text(max_size=3), pl.String), typed(st.binary(max_size=2), pl.Binary)))
@settings(deadline=None)
def test_coded_columns_give_back_their_values(column: pl.Series) -> None:
    """Codes and distinct values are the column again, signs of zero included."""
    values = column.to_list()
    for found in (coded(column), encoded(values)):
        assert [str(value) for value in found.rows()] == [str(value) for value in values]
    pairs = combined(coded(column), encoded(values), encoded([1] * len(values)))
    assert [str(pair) for pair in pairs.rows()] == [str((value, value, 1)) for value in values]


def test_rows_in_memory_become_the_same_columns(tmp_path: Path) -> None:
    """What a file gives by column, its rows give too."""
    path = tmp_path / "payments.csv"
    path.write_text(
        "transaction_id,user_id,amount,merchant,timestamp,label,available_at\n"
        "a,u1,5,Shop,2018-04-01 00:00:31,fraud,2018-04-09T00:00:00Z\n"
        "b,u2,6.50,Bar,2018-04-01 00:00:32,,\n"
        "c,u1,7,Shop,2018-04-01 00:00:33,genuine,\n"
    )
    frame, _, _ = by_column(path, FORMATS["cardwatch"])
    taken, _ = by_row(path, FORMATS["cardwatch"])
    batches: list[Batch] = list(HistoryColumns(iter(taken)).batches(Keys(), rows=2))
    assert [batch.rows for batch in batches] == [2, 1]
    assert pl.concat([batch.frame for batch in batches]).equals(frame)


def test_reading_can_go_on_where_it_stopped(tmp_path: Path) -> None:
    """Without its first rows a file gives the others, numbered as before."""
    path = tmp_path / "payments.csv"
    lines = "".join(f"{at},u,5,Shop,2018-04-01 00:00:31\n" for at in range(7))
    path.write_text("transaction_id,user_id,amount,merchant,timestamp\n" + lines)
    columns = PaymentColumns(path, FORMATS["cardwatch"], tokens=TOKENS)
    assert len(columns) == 7
    rows = [row for batch in columns.batches(Keys(), rows=2, skip=4) for row in batch.frame["row"]]
    assert rows == [5, 6, 7]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "layout", "rows"), [("fraudTrain_sample.csv", "sparkov", None), ("handbook.parquet", "handbook", 60_000)]
)
def test_real_files_are_the_same_by_column_and_by_row(tmp_path: Path, name: str, layout: str, rows: int | None) -> None:
    """Kaggle's sample and a slice of the handbook's file, whole batches at a time."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {DATA} (CARDWATCH_BENCH_DATA)")
    if rows is not None:
        path = tmp_path / name
        pl.read_parquet(DATA / name, n_rows=rows).write_parquet(path)
    assert_same(path, FORMATS[layout], rows=25_000)
