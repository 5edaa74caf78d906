"""Whose feature is whose: the features of a stranger's model, and what they are here.

A name that is ours means itself. The table of aliases knows names that models of card payments often have, where
meaning and unit are plain; what is often meant otherwise is refused with the reason, and `--map` says what is meant.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from cardwatch.features.spec import Feature
from cardwatch.learning.pickled.model_text import ModelText
from cardwatch.learning.pickled.sandbox import ModelRefused
from cardwatch.models.bundle import TakenFeature

MINOR_PER_MAJOR = 100
"""Of currencies with two decimals; amounts here are in minor units."""

KM_PER_MILE = 1.609344
_MAP_BYTES_MAX = 1024**2

Scale: TypeAlias = Annotated[float, Meta(ge=1e-6, le=1e6)]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a feature is here: ours is theirs times `scale`."""

    feature: str
    scale: Scale = 1.0


class Unmapped(msgspec.Struct, frozen=True):
    """A feature that cannot be taken, why, and which of ours comes nearest (None: none does)."""

    name: str
    reason: str
    nearest: str | None


class Unmappable(ModelRefused):
    """Some features of a model have no place here; `features` are all of them."""

    def __init__(self, features: Sequence[Unmapped]) -> None:
        self.features = tuple(features)
        names = ", ".join(feature.name for feature in features)
        super().__init__(f"{len(features)} of its features cannot be mapped to ours: {names}")


_MONEY = Target("amount", MINOR_PER_MAJOR)
_DISTANCE, _MILES = Target("home_distance_km"), Target("home_distance_km", KM_PER_MILE)

ALIASES: dict[str, Target] = {
    "amt": _MONEY,
    "amount_usd": _MONEY,
    "amount_eur": _MONEY,
    "transaction_amount": _MONEY,
    "transactionamt": _MONEY,
    "trans_amt": _MONEY,
    "amount_minor": Target("amount"),
    "amount_cents": Target("amount"),
    "hour": Target("local_hour"),
    "trans_hour": Target("local_hour"),
    "transaction_hour": Target("local_hour"),
    "hour_of_day": Target("local_hour"),
    "is_night": Target("night"),
    "is_weekend": Target("weekend"),
    "distance_km": _DISTANCE,
    "dist_km": _DISTANCE,
    "distance_from_home_km": _DISTANCE,
    "distance_to_merchant_km": _DISTANCE,
    "distance_miles": _MILES,
    "dist_miles": _MILES,
    "velocity_kmh": Target("speed_kmh"),
    "speed_mph": Target("speed_kmh", KM_PER_MILE),
    "seconds_since_last": Target("account_seconds_since_last"),
    "minutes_since_last": Target("account_seconds_since_last", 60),
    "hours_since_last": Target("account_seconds_since_last", 3600),
    "is_foreign_currency": Target("foreign_currency"),
    "is_new_merchant": Target("account_new_merchant"),
    "is_new_country": Target("account_new_country"),
}
"""Their name in lower case, and what it is here."""

_NO_UNIT = "its unit is not said: km or miles"
_COUNTED = "whether it counts the payment itself is not said; ours does not"
_LOGARITHM = "a logarithm; only a change of unit can be converted"
_CODE = "a code whose numbers only its own training knew"
_NOT_COMPUTED = "not computed here"

HINTS: dict[str, tuple[str, str | None]] = {
    "distance": (_NO_UNIT, "home_distance_km"),
    "dist": (_NO_UNIT, "home_distance_km"),
    "home_distance": (_NO_UNIT, "home_distance_km"),
    "distance_to_merchant": (_NO_UNIT, "home_distance_km"),
    "amt_log": (_LOGARITHM, "amount"),
    "log_amt": (_LOGARITHM, "amount"),
    "amount_log": (_LOGARITHM, "amount"),
    "log_amount": (_LOGARITHM, "amount"),
    "trans_count_1h": (_COUNTED, "account_count_1h"),
    "txn_count_1h": (_COUNTED, "account_count_1h"),
    "trans_count_24h": (_COUNTED, "account_count_1d"),
    "txn_count_24h": (_COUNTED, "account_count_1d"),
    "txn_count_7d": (_COUNTED, "account_count_7d"),
    "avg_amt": ("over which payments it is an average is not said", "account_amount_mean"),
    "time_since_last": ("its unit is not said: seconds, minutes or hours", "account_seconds_since_last"),
    "category": (_CODE, None),
    "merchant": (_CODE, None),
    "job": (_CODE, None),
    "gender": (_NOT_COMPUTED, None),
    "age": (_NOT_COMPUTED, None),
    "city_pop": (_NOT_COMPUTED, None),
    "zip": (_CODE, None),
    "state": (_CODE, None),
    "city": (_CODE, None),
    "lat": ("a coordinate; places are compared here as distances", "home_distance_km"),
    "long": ("a coordinate; places are compared here as distances", "home_distance_km"),
    "merch_lat": ("a coordinate; places are compared here as distances", "home_distance_km"),
    "merch_long": ("a coordinate; places are compared here as distances", "home_distance_km"),
    "unix_time": ("a moment; a model that knows moments knows nothing of tomorrow", "local_hour"),
    "day_of_week": (_NOT_COMPUTED, "weekend"),
    "dayofweek": (_NOT_COMPUTED, "weekend"),
    "day": (_NOT_COMPUTED, "weekend"),
    "month": (_NOT_COMPUTED, None),
}
"""Names that are no alias: why, and what comes nearest."""

_MONEY_UNIT = 'in minor units, as ours, or in dollars? say "scale": 1 or 100 in --map'

_decode_map = msgspec.json.Decoder(dict[str, str | Target]).decode


def read_map(path: Path) -> dict[str, Target]:
    """Read a `--map` file: a JSON object from their names to ours, or to {"feature": ours, "scale": number}.

    Raises ModelRefused with one line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"--map {path}: {error.strerror}") from None
    try:
        if len(raw) > _MAP_BYTES_MAX:
            raise ModelRefused(f"--map {path} is larger than {_MAP_BYTES_MAX:,} bytes")
        given = _decode_map(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelRefused(f"--map {path} is no map of features: {error}") from None
    return {name: Target(target) if isinstance(target, str) else target for name, target in given.items()}


def map_features(
    model: ModelText, names: Sequence[str], *, computed: Sequence[Feature], given: Mapping[str, Target]
) -> tuple[TakenFeature, ...]:
    """Say what each feature of a model is here, in the model's order; `given` wins over names and aliases.

    Raises ModelRefused when `given` names what is not there, and Unmappable with every feature that has no place.
    """
    ours = [feature.name for feature in computed]
    _check_given(names, ours, given)
    rows = {feature.name: feature for feature in computed}
    foreign = not all(name in rows for name in names)
    taken: list[TakenFeature] = []
    unmapped: list[Unmapped] = []
    for at, name in enumerate(names):
        found = given.get(name) or _default(name, model.range_of(at), rows, foreign=foreign)
        if isinstance(found, Target):
            earlier = next((one.name for one in taken if one.feature == found.feature), None)
            if earlier is None:
                taken.append(TakenFeature(name, found.feature, found.scale))
                continue
            found = Unmapped(name, f"{earlier} is {found.feature} already", found.feature)
        unmapped.append(found)
    if unmapped:
        raise Unmappable(unmapped)
    return tuple(taken)


def _check_given(names: Sequence[str], ours: Sequence[str], given: Mapping[str, Target]) -> None:
    for name, target in given.items():
        if name not in names:
            raise ModelRefused(f"--map names {name}, which is no feature of the model")
        if target.feature not in ours:
            near = nearest(target.feature, ours)
            raise ModelRefused(f"--map: {target.feature} is not computed" + (f"; {near} is" if near else ""))


def _default(
    name: str, seen: tuple[float, float] | None, rows: Mapping[str, Feature], *, foreign: bool
) -> Target | Unmapped:
    """Say what a feature is by its name alone; `foreign` says that the model has names that are not ours."""
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    if name in rows or plain in rows:
        return _same(name if name in rows else plain, name, seen, rows, foreign=foreign)
    target = ALIASES.get(plain)
    if target is not None and target.feature in rows:
        return target
    reason, near = HINTS.get(plain, (_NOT_COMPUTED, None))
    return Unmapped(name, reason, near if near in rows else nearest(plain, list(rows)))


def _same(
    ours: str, name: str, seen: tuple[float, float] | None, rows: Mapping[str, Feature], *, foreign: bool
) -> Target | Unmapped:
    """Take a name that is ours; money may still be in dollars, unless all of the model's names are ours."""
    if ours == "amount" and seen is not None and not all(bound.is_integer() for bound in seen):
        return _MONEY  # training saw a fraction, and minor units have none
    if foreign and rows[ours].unit.startswith("minor units"):
        return Unmapped(name, _MONEY_UNIT, ours)
    return Target(ours)


def nearest(name: str, ours: Sequence[str]) -> str | None:
    """Return the name of ours that is spelt most alike, None if none is."""
    found = get_close_matches(name, ours, n=1, cutoff=0.6)
    return found[0] if found else None
