"""Slices of real files go through import and HTTP: nothing lost or refused, and no card number left anywhere."""

from pathlib import Path

import pytest
from bench.card_numbers import card_numbers_in
from bench.real_data_run import Trip, card_numbers_of, data_folder, take

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not (data_folder() / "sparkov.parquet").exists(), reason="the benchmark data (CARDWATCH_BENCH_DATA) is missing"
    ),
]

ROWS = 5_000
POSTS = 400


def first_rows(name: str, folder: Path) -> Path:
    """Write the first rows of a parquet file as a file of their own."""
    import polars as pl

    path = folder / name
    pl.read_parquet(data_folder() / name, n_rows=ROWS).write_parquet(path)
    return path


def require_sound(trip: Trip, rows: int) -> None:
    """Assert, one by one, all that must hold of a trip."""
    assert trip.imported["rejected"] == 0
    assert trip.imported["added"] == rows
    assert trip.statuses == {201: POSTS}
    assert trip.verdict.sound, str(trip.verdict)
    assert trip.files_with_cards == {}
    assert trip.cards_in_metrics == 0
    assert trip.prefixed_merchants == 0


@pytest.fixture(scope="module")
def cards() -> list[str]:
    """Return all card numbers of the large file; the small one's are checked to be found by the search."""
    return card_numbers_of(data_folder() / "sparkov.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder beside the test's own files: everything in it is searched."""
    path = tmp_path / "written"
    path.mkdir()
    return path


def test_sparkov_goes_through_whole(tmp_path: Path, folder: Path, cards: list[str]) -> None:
    """User ids that are card numbers become tokens, and the prefix of merchants goes."""
    trip = take(first_rows("sparkov.parquet", tmp_path), "sparkov", folder, posts=POSTS, cards=cards)
    require_sound(trip, ROWS)


def test_the_csv_as_kaggle_ships_it_goes_through_whole(folder: Path) -> None:
    """An index column without a name and quoted numbers are no obstacle."""
    file = data_folder() / "fraudTrain_sample.csv"
    trip = take(file, "sparkov", folder, posts=POSTS, cards=card_numbers_of(file))
    require_sound(trip, sum(1 for _ in file.open(encoding="utf-8")) - 1)


def test_handbook_goes_through_whole(tmp_path: Path, folder: Path, cards: list[str]) -> None:
    """Ids that are bare numbers are no card numbers."""
    trip = take(first_rows("handbook.parquet", tmp_path), "handbook", folder, posts=POSTS, cards=cards)
    require_sound(trip, ROWS)


def test_the_search_finds_card_numbers_in_every_grouping(cards: list[str]) -> None:
    """The other tests mean something: what they look for would be found, plain, grouped, or inside longer digits."""
    number = next(card for card in cards if len(card) == 16)
    grouped = [number[at : at + 4] for at in range(0, 16, 4)]
    for text in (number, " ".join(grouped), "-".join(grouped), f'{{"user_id":"{number}"}}', f"77{number}77"):
        assert card_numbers_in(text.encode(), cards) == {number}
    assert card_numbers_in(number[:-1].encode(), cards) <= set(cards) - {number}
