"""Free text finds the place it names, and nothing where it names none."""

import pytest

from cardwatch.adapters.gazetteer import REMEMBERED_TEXTS, OfflineGazetteer


@pytest.fixture(scope="module")
def gazetteer() -> OfflineGazetteer:
    """One gazetteer for all tests; it never changes."""
    return OfflineGazetteer()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Seattle, WA", "Seattle, WA"),
        ("Seattle WA", "Seattle, WA"),
        ("  seattle ,wa ", "Seattle, WA"),
        ("SEATTLE, WA 98101", "Seattle, WA"),
        ("Seattle, WA, USA", "Seattle, WA"),
        ("400 Broad St, Seattle, WA", "Seattle, WA"),
        ("Seattle, United States", "Seattle, WA"),
        ("Madison, Wisconsin", "Madison, WI"),
        ("Madison, WI", "Madison, WI"),
        ("Chicago", "Chicago, IL"),
        ("St. Louis, MO", "St. Louis, MO"),
        ("Saint Louis", "St. Louis, MO"),
        ("Washington, D.C.", "Washington, DC"),
        ("New York", "New York City, NY"),
        ("NYC", "New York City, NY"),
        ("Paris", "Paris, FR"),
        ("Paris, France", "Paris, FR"),
        ("Paris, FR", "Paris, FR"),
        ("Paris, TX", "Paris, TX"),
        ("London UK", "London, GB"),
        ("London, England", "London, GB"),
        ("London, Ontario", "London, CA"),
        ("São Paulo", "São Paulo, BR"),
        ("sao paulo", "São Paulo, BR"),
        ("München", "Munich, DE"),
        ("Firenze", "Florence, IT"),
        ("Mobile, AL", "Mobile, AL"),
    ],
)
def test_a_city_is_found_however_it_is_written(gazetteer: OfflineGazetteer, text: str, name: str) -> None:
    """Case, accents, punctuation, codes and full names of states and countries all lead to the same city."""
    place = gazetteer.resolve(text)
    assert place is not None
    assert place.name == name


@pytest.mark.parametrize(
    ("text", "country"),
    [("Los Angeles, CA", "US"), ("Toronto, CA", "CA"), ("Berlin, DE", "DE"), ("Atlanta, Georgia", "US")],
)
def test_a_code_with_two_meanings_is_read_where_the_city_lies(
    gazetteer: OfflineGazetteer, text: str, country: str
) -> None:
    """CA is California or Canada, DE Delaware or Germany, Georgia a state or a country: the city tells."""
    place = gazetteer.resolve(text)
    assert place is not None
    assert place.country == country


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        ",",
        "Unknown Location",
        "unknown",
        "online",
        "Online",
        "Internet",
        "N/A",
        "Suspicious Store",
        "Test Location",
        "Home",
        "Of",
        "Store",
        "Mobile",
        "Main Street",
        "Somewhere near Seattle",
        "Seattle, OR",
        "12345",
        "x" * 5000,
        "\x00\ud7ff🤖",
    ],
)
def test_what_names_no_place_resolves_to_nothing(gazetteer: OfflineGazetteer, text: str) -> None:
    """Junk, everyday words, sentences and contradictions are no places."""
    assert gazetteer.resolve(text) is None


@pytest.mark.parametrize("text", ["France", "USA", "US", "California", "WA", "Georgia", "Mexico"])
def test_a_large_area_alone_is_no_place(gazetteer: OfflineGazetteer, text: str) -> None:
    """A country or state too large for its capital to stand for it gives no distance, rather than an invented one."""
    assert gazetteer.resolve(text) is None


@pytest.mark.parametrize(("text", "country"), [("Singapore", "SG"), ("Luxembourg", "LU"), ("Monaco", "MC")])
def test_a_small_country_alone_is_its_capital(gazetteer: OfflineGazetteer, text: str, country: str) -> None:
    """In a small country no point is far from the capital."""
    place = gazetteer.resolve(text)
    assert place is not None
    assert place.country == country


def test_the_country_sent_beside_the_text_narrows_the_search(gazetteer: OfflineGazetteer) -> None:
    """With a country the most populous city there is meant, and one of another country is not found."""
    elsewhere = gazetteer.resolve("Paris", country="US")
    assert elsewhere is not None
    assert elsewhere.country == "US"
    named = gazetteer.resolve("Paris", country="France")
    assert named is not None
    assert named.country == "FR"
    assert gazetteer.resolve("Seattle", country="FR") is None


def test_coordinates_and_unit_vector_agree_with_the_city(gazetteer: OfflineGazetteer) -> None:
    """Seattle lies where Seattle lies, and its vector has unit length."""
    place = gazetteer.resolve("Seattle, WA")
    assert place is not None
    assert place.latitude == pytest.approx(47.6, abs=0.1)
    assert place.longitude == pytest.approx(-122.33, abs=0.1)
    assert place.x**2 + place.y**2 + place.z**2 == pytest.approx(10**12, rel=1e-5)


def test_memory_of_answers_is_bounded(gazetteer: OfflineGazetteer) -> None:
    """However many texts come, only so many answers are kept."""
    for number in range(REMEMBERED_TEXTS + 100):
        gazetteer.resolve(f"nowhere {number}")
    assert gazetteer.answers_kept() <= REMEMBERED_TEXTS
