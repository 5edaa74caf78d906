"""The kinds of features: what each asks the state to remember, and the expression of its value.

An expression may use the payment's fields, the lifetime sums and the values of rings by name. Every value is a float;
a value that cannot be known is NaN. Ratios are computed from the integers, not from printed or rounded values.
"""

from collections.abc import Callable

from cardwatch.domain.place import EARTH_RADIUS_KM, UNIT
from cardwatch.features.encode import NIGHT_HOURS, OCTAVE_STEPS, SKETCH_BITS
from cardwatch.features.plan import STEPS_PER_BUCKET, Plan
from cardwatch.features.spec import DAY_S, HOUR_S, LABEL_TILE_S, Feature

PERMILLE = {"median": 500, "quantile_90": 900}

USUAL_WINDOW_S = 30 * DAY_S
"""What is usual is measured over this window, or since the first payment if that is less, but at least one day."""

USUAL_TILE_S = DAY_S

DEVIATION_PAYMENTS_MIN = 3
"""Below this many amounts nobody knows how much they vary."""

DEVIATION_STEPS_MIN = OCTAVE_STEPS // 4
"""Smallest spread assumed on the amount scale, a quarter of a doubling: a subscription is no proof of rigidity."""

SPEED_SECONDS_MIN = 60
"""Shortest time between two places for a speed, so that payments in the same minute do not divide by zero."""

_EVENT_VALUES = {
    "amount": "amount * 1.0 if own else nan",
    "foreign_currency": "0.0 if own else 1.0",
    "local_hour": f"local % {DAY_S} // {HOUR_S} * 1.0",
    "night": f"1.0 if local % {DAY_S} < {NIGHT_HOURS * HOUR_S} else 0.0",
    "weekend": f"1.0 if (local // {DAY_S} + 3) % 7 > 4 else 0.0",
    "unresolved": "unresolved * 1.0",
    "location_missing": "0.0 if placed or unresolved else 1.0",
}


def expression(feature: Feature, plan: Plan) -> str:
    """Ask the plan for what a feature needs; returns the expression of its value."""
    return _KINDS[feature.aggregation](feature, plan)


def _event(feature: Feature, _plan: Plan) -> str:
    """The payment's own value."""
    return _EVENT_VALUES[feature.value]


def _home_distance(_feature: Feature, plan: Plan) -> str:
    """Straight line from home, in kilometres."""
    plan.line("dx = x - home_x")
    plan.line("dy = y - home_y")
    plan.line("dz = z - home_z")
    return f"sqrt((dx * dx + dy * dy + dz * dz) * 1.0) * {EARTH_RADIUS_KM} / {UNIT}.0 if placed and homed else nan"


def _windowed(feature: Feature, plan: Plan) -> str:
    """Contributions in a window."""
    return plan.ring(feature.window_s, feature.tile_s, feature.value) + " * 1.0"


def _distinct(feature: Feature, plan: Plan) -> str:
    """Distinct members in a window, by how many bits their hashes set (linear counting, Whang et al. 1990)."""
    plan.line(f"bits = {plan.ring(feature.window_s, feature.tile_s, feature.value)}")
    for shift, mask in _POPULATION_COUNT:
        plan.line(f"bits = (bits & {mask}) + (bits >> {shift} & {mask})")
    return "DISTINCT[bits]"


_POPULATION_COUNT = (
    (1, 0x5555555555555555),
    (2, 0x3333333333333333),
    (4, 0x0F0F0F0F0F0F0F0F),
    (8, 0x00FF00FF00FF00FF),
    (16, 0x0000FFFF0000FFFF),
    (32, 0x00000000FFFFFFFF),
)
"""Shift and mask of each step that adds neighbouring groups of bits."""


def expected_distinct() -> tuple[float, ...]:
    """Expected number of distinct members by number of set bits: the sum of the waits for each next bit."""
    found, members = [0.0], 0.0
    for bits in range(SKETCH_BITS):
        members += SKETCH_BITS / (SKETCH_BITS - bits)
        found.append(float(round(members)))
    return tuple(found)


def _largest_excess(feature: Feature, plan: Plan) -> str:
    """Doublings by which the largest payment of a window exceeded the median of its time."""
    plan.quantile(PERMILLE["median"])
    return f"{plan.walk(feature.window_s, feature.tile_s, 'excess')} / {OCTAVE_STEPS}.0"


def _large(feature: Feature, plan: Plan) -> str:
    """Payments of a window that were high by the median of their time."""
    plan.quantile(PERMILLE["median"])
    return f"{plan.walk(feature.window_s, feature.tile_s, 'high')} * 1.0"


def _deviation_from_median(_feature: Feature, plan: Plan) -> str:
    """Standard deviations from the median, on the doubling scale."""
    plan.quantile(PERMILLE["median"])
    _spread(plan)
    middle = f"(s[@bucket_500] * {STEPS_PER_BUCKET} + {STEPS_PER_BUCKET // 2})"
    return f"(scale - {middle}) * (all_own * 1.0) / sqrt(spread * 1.0) if {_ENOUGH} else nan"


def _total(feature: Feature, plan: Plan) -> str:
    """Contributions ever."""
    plan.scalar(feature.value)
    return f"all_{feature.value} * 1.0"


def _share(feature: Feature, plan: Plan) -> str:
    """Share of all payments that had the property."""
    plan.scalar(feature.value)
    return f"all_{feature.value} * 1.0 / all_payments if all_payments else nan"


def _mean(feature: Feature, plan: Plan) -> str:
    """Mean amount ever."""
    plan.scalar("own")
    plan.scalar(feature.value)
    return f"all_{feature.value} * 1.0 / all_own if all_own else nan"


def _quantile(feature: Feature, plan: Plan) -> str:
    """Running quantile: middle of the bucket, an eighth of a doubling wide, in which it lies."""
    plan.scalar("own")
    return f"{plan.quantile(PERMILLE[feature.aggregation])} if all_own else nan"


def _maximum(_feature: Feature, plan: Plan) -> str:
    """Largest amount ever."""
    plan.scalar("own")
    plan.scalar("amount_max")
    return "all_amount_max * 1.0 if all_own else nan"


def _ratio_to_quantile(feature: Feature, plan: Plan) -> str:
    """Amount over a running quantile."""
    plan.scalar("own")
    permille = PERMILLE[feature.aggregation.removeprefix("ratio_to_")]
    return f"amount / {plan.quantile(permille)} if own and all_own else nan"


def _ratio_to_maximum(_feature: Feature, plan: Plan) -> str:
    """Amount over the largest ever."""
    plan.scalar("own")
    plan.scalar("amount_max")
    return "amount * 1.0 / all_amount_max if own and all_amount_max else nan"


def _ratio_to_mean(_feature: Feature, plan: Plan) -> str:
    """Amount over the mean ever."""
    plan.scalar("own")
    plan.scalar("amount")
    return "amount / (all_amount * 1.0 / all_own) if own and all_amount else nan"


def _deviation(_feature: Feature, plan: Plan) -> str:
    """Standard deviations from the mean, on the doubling scale."""
    _spread(plan)
    return f"(scale * all_own - all_scale) * 1.0 / sqrt(spread * 1.0) if {_ENOUGH} else nan"


_ENOUGH = f"own and all_own >= {DEVIATION_PAYMENTS_MIN}"


def _spread(plan: Plan) -> None:
    """Compute the variance of the amounts on the doubling scale, times the square of their number.

    All in integers, which stay below 2**63 for a million amounts: more than any account makes.
    """
    for name in ("own", "scale", "scale_squares"):
        plan.scalar(name)
    plan.line("spread = all_own * all_scale_squares - all_scale * all_scale")
    plan.line(f"least = all_own * all_own * {DEVIATION_STEPS_MIN**2}")
    plan.line("spread = spread if spread > least else least")


def _usual(feature: Feature, plan: Plan) -> str:
    """Contributions a day over what is usual (`USUAL_WINDOW_S`)."""
    plan.scalar("payments")
    plan.scalar("first")
    recent = plan.ring(USUAL_WINDOW_S, USUAL_TILE_S, feature.value)
    plan.line("span = end - all_first")
    plan.line(f"span = {DAY_S} if span < {DAY_S} else {USUAL_WINDOW_S} if span > {USUAL_WINDOW_S} else span")
    plan.line(f"usual_{feature.value} = {recent} / (span / {DAY_S}.0)")
    return f"usual_{feature.value} if all_payments else nan"


def _ratio_to_usual(feature: Feature, plan: Plan) -> str:
    """Contributions in a window over what is usual in so much time."""
    _usual(feature, plan)
    recent = plan.ring(feature.window_s, feature.tile_s, feature.value)
    return f"{recent} * {DAY_S // feature.window_s}.0 / usual_{feature.value} if usual_{feature.value} else nan"


def _seconds_since_last(_feature: Feature, plan: Plan) -> str:
    """Seconds since the latest payment; 0 for one that arrives late."""
    plan.scalar("payments")
    return "(now - last) * 1.0 if all_payments else nan"


def _age_days(_feature: Feature, plan: Plan) -> str:
    """Days since the first payment."""
    plan.scalar("payments")
    plan.scalar("first")
    return f"(end - all_first) / {DAY_S}.0 if all_payments else nan"


def _first_use(feature: Feature, plan: Plan) -> str:
    """1 unless the hash is among the most recently used; unknown while nothing was used."""
    value, capacity = feature.value, RECENT_MAX[feature.value]
    plan.recent(value, capacity)
    plan.line(f"length = s[@recent_{value}]")
    plan.line(f"new_{value} = 0.0 if {value} in s[@list_{value}:@list_{value} + length] else 1.0")
    plan.line(f"new_{value} = new_{value} if {value} and length else nan")
    return f"new_{value}"


RISK_PRIOR_PERMILLE = 8
RISK_PRIOR_WEIGHT = 5
"""Share of fraud assumed of what nothing is known of, and how many payments that assumption weighs: the overall share
of the Fraud Detection Handbook's payments, and a weight chosen on its validation weeks (docs/detection.md)."""


def _risk(feature: Feature, plan: Plan) -> str:
    """Smoothed share of confirmed fraud among the payments of a window whose labels are known by now."""
    plan.labels("payments")
    plan.labels("frauds", feature.window_s)
    name = f"known_{feature.window_s}"
    prior = RISK_PRIOR_PERMILLE * RISK_PRIOR_WEIGHT
    return f"(frauds_{name} * 1000 + {prior}) / ((payments_{name} + {RISK_PRIOR_WEIGHT}) * 1000.0)"


def _confirmed(feature: Feature, plan: Plan) -> str:
    """Confirmed frauds in a window whose labels are known by now."""
    plan.labels("frauds", feature.window_s)
    return f"frauds_known_{feature.window_s} * 1.0"


def _run(plan: Plan) -> None:
    for column in ("payments", "frauds", "low_frauds"):
        plan.labels(column)
    plan.run = True


def _run_length(_feature: Feature, plan: Plan) -> str:
    """Confirmed frauds, of amounts that are not high, since the last tile with a genuine payment."""
    _run(plan)
    return "run * 1.0"


def _run_age(_feature: Feature, plan: Plan) -> str:
    """Days since the first fraud of that run."""
    _run(plan)
    return f"(now // {LABEL_TILE_S} - run_first) * {LABEL_TILE_S} / {DAY_S}.0 if run else nan"


def _known_genuine(_feature: Feature, plan: Plan) -> str:
    """Days since the last tile with a payment known to be genuine."""
    _run(plan)
    return f"(now // {LABEL_TILE_S} - genuine) * {LABEL_TILE_S} / {DAY_S}.0 if genuine >= 0 else nan"


def _known_payments(feature: Feature, plan: Plan) -> str:
    """Payments of a window whose labels are known by now."""
    plan.labels("frauds")
    plan.labels("payments", feature.window_s)
    return f"payments_known_{feature.window_s} * 1.0"


def _last_place(plan: Plan) -> None:
    """Compute the straight line from the place of the latest placed payment."""
    plan.last_place = True
    plan.line("dx = x - s[@place_x]")
    plan.line("dy = y - s[@place_y]")
    plan.line("dz = z - s[@place_z]")
    plan.line(f"moved = sqrt((dx * dx + dy * dy + dz * dz) * 1.0) * {EARTH_RADIUS_KM} / {UNIT}.0")
    plan.line("moved = moved if placed and s[@place_time] else nan")


def _last_place_distance(_feature: Feature, plan: Plan) -> str:
    """Straight line from the place of the latest placed payment, in kilometres."""
    _last_place(plan)
    return "moved"


def _speed(_feature: Feature, plan: Plan) -> str:
    """That distance over the time in between, in kilometres an hour."""
    _last_place(plan)
    plan.line("between = time - s[@place_time]")
    plan.line("between = between if between > 0 else -between")
    plan.line(f"between = between if between > {SPEED_SECONDS_MIN} else {SPEED_SECONDS_MIN}")
    return f"moved * {HOUR_S}.0 / between"


RECENT_MAX = {"merchant_hash": 16, "place_hash": 16, "country_hash": 8, "device_hash": 8}
"""How many of each an account remembers."""

_KINDS: dict[str, Callable[[Feature, Plan], str]] = {
    "event": _event,
    "home_distance": _home_distance,
    "sum": _windowed,
    "distinct": _distinct,
    "total": _total,
    "share": _share,
    "mean": _mean,
    "median": _quantile,
    "quantile_90": _quantile,
    "maximum": _maximum,
    "ratio_to_median": _ratio_to_quantile,
    "ratio_to_quantile_90": _ratio_to_quantile,
    "ratio_to_maximum": _ratio_to_maximum,
    "ratio_to_mean": _ratio_to_mean,
    "deviation": _deviation,
    "usual": _usual,
    "ratio_to_usual": _ratio_to_usual,
    "seconds_since_last": _seconds_since_last,
    "age_days": _age_days,
    "first_use": _first_use,
    "last_place_distance": _last_place_distance,
    "speed": _speed,
    "deviation_from_median": _deviation_from_median,
    "largest_excess": _largest_excess,
    "large": _large,
    "known_payments": _known_payments,
    "risk": _risk,
    "confirmed": _confirmed,
    "run_length": _run_length,
    "run_age": _run_age,
    "known_genuine": _known_genuine,
}
