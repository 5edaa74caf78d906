"""Source text that keeps an entity's state: one function per thing remembered, each returning lines to unroll.

The text uses integers, slices of equal length and `while` alone, so that it runs on a list and on an integer array.
"""

from cardwatch.features.encode import SKETCH_BITS
from cardwatch.features.plan import STEPS_PER_BUCKET, Plan, Ring

assert SKETCH_BITS < 63  # noqa: S101 - a joined bit set must stay a positive 64-bit integer


def indented(lines: list[str]) -> list[str]:
    """Return lines one level deeper."""
    return ["    " + line for line in lines]


def ring_reading(ring: Ring) -> list[str]:
    """Lines that set the ring's value of each column, as of `end`, without changing the state."""
    name = ring.name
    lines = [f"low_{name} = end // {ring.tile_s} - {ring.capacity}", f"length = s[@ring_{name}]"]
    lines += [
        f"{column}_{name} = " + ("0" if column == "account_bit" else f"s[@total_{column}_{name}]")
        for column in ring.columns
    ]
    added = [column for column in ring.columns if column != "account_bit"]
    if added:
        lines += [f"if length and s[@tiles_{name}] <= low_{name}:", "    i = 0"]
        lines += [f"    while i < length and s[@tiles_{name} + i] <= low_{name}:"]
        lines += [f"        {column}_{name} -= s[@tiles_{column}_{name} + i]" for column in added]
        lines += ["        i += 1"]
    if "account_bit" in ring.columns:
        lines += ["i = length - 1", f"while i >= 0 and s[@tiles_{name} + i] > low_{name}:"]
        lines += [f"    account_bit_{name} |= s[@tiles_account_bit_{name} + i]", "    i -= 1"]
    return lines


def pending_reading(plan: Plan, slot: int) -> list[str]:
    """Lines that add a closed minute which was not folded yet to everything that was read."""
    inner = [f"at = s[@minute_{slot}] * 60"]
    if "first" in plan.scalars:
        inner += ["if all_payments == 0 or at < all_first:", "    all_first = at"]
    inner += [f"all_{name} += s[@{name}_{slot}]" for name in plan.scalars if name != "first"]
    for ring in plan.rings.values():
        inner += [f"if at // {ring.tile_s} > low_{ring.name}:"]
        for column in ring.columns:
            sign = "|=" if column == "account_bit" else "+="
            inner += [f"    {column}_{ring.name} {sign} s[@{column}_{slot}]"]
    return [f"if s[@payments_{slot}] and s[@minute_{slot}] < cut:", *indented(inner)]


def ring_expiry(ring: Ring) -> list[str]:
    """Lines that drop the tiles which have left the window as of `end`."""
    name = ring.name
    inner = ["gone = 1", f"while gone < length and s[@tiles_{name} + gone] <= low:", "    gone += 1"]
    added = [column for column in ring.columns if column != "account_bit"]
    if added:
        inner += ["i = 0", "while i < gone:"]
        inner += [f"    s[@total_{column}_{name}] -= s[@tiles_{column}_{name} + i]" for column in added]
        inner += ["    i += 1"]
    for region in (f"tiles_{name}", *(f"tiles_{column}_{name}" for column in ring.columns)):
        inner += [f"s[@{region}:@{region} + length - gone] = s[@{region} + gone:@{region} + length]"]
    inner += ["length -= gone", f"s[@ring_{name}] = length"]
    return [
        f"low = end // {ring.tile_s} - {ring.capacity}",
        f"length = s[@ring_{name}]",
        f"if length and s[@tiles_{name}] <= low:",
        *indented(inner),
    ]


def ring_adding(ring: Ring) -> list[str]:
    """Lines that add the contributions at `time` to their tile, unless it has left the window (below `low`)."""
    name = ring.name
    regions = [f"tiles_{name}", *(f"tiles_{column}_{name}" for column in ring.columns)]
    place = ["at += 1", "if at < length:"]
    place += [
        f"    s[@{region} + at + 1:@{region} + length + 1] = s[@{region} + at:@{region} + length]" for region in regions
    ]
    place += [f"s[@tiles_{name} + at] = tile", *(f"s[@{region} + at] = 0" for region in regions[1:])]
    place += [f"s[@ring_{name}] = length + 1"]
    inner = ["at = length - 1", f"while at >= 0 and s[@tiles_{name} + at] > tile:", "    at -= 1"]
    inner += [f"if at < 0 or s[@tiles_{name} + at] != tile:", *indented(place)]
    for column in ring.columns:
        if column == "account_bit":
            inner += [f"s[@tiles_{column}_{name} + at] |= {column}"]
        else:
            inner += [f"s[@tiles_{column}_{name} + at] += {column}", f"s[@total_{column}_{name}] += {column}"]
    return [f"tile = time // {ring.tile_s}", "if tile > low:", *indented(inner)]


def sums_updating(plan: Plan) -> list[str]:
    """Lines that add the contributions to the lifetime sums and keep the first time and the largest amount."""
    lines: list[str] = []
    if "first" in plan.scalars:
        lines += ["if s[@payments] == 0 or time < s[@first]:", "    s[@first] = time"]
    if "amount_max" in plan.scalars:
        lines += ["if amount > s[@amount_max]:", "    s[@amount_max] = amount"]
    lines += [f"s[@{name}] += {name}" for name in plan.scalars if name not in ("first", "amount_max")]
    return lines


def quantiles_updating(plan: Plan) -> list[str]:
    """Lines that count the amount's bucket and move each quantile to the bucket that now holds it.

    A quantile stands at the first bucket up to which at least its share of all amounts lies, so it depends on the
    counts alone, not on the order in which they came.
    """
    inner = [f"bucket = scale // {STEPS_PER_BUCKET}", "counted = s[@own]", "s[@buckets + bucket] += 1"]
    inner += ["if counted == 1 or bucket < s[@lowest]:", "    s[@lowest] = bucket"]
    inner += ["if counted == 1 or bucket > s[@highest]:", "    s[@highest] = bucket"]
    for permille in plan.quantiles:
        inner += ["if counted == 1:", "    at = bucket", "    below = 0", "else:"]
        inner += [f"    at = s[@bucket_{permille}]", f"    below = s[@below_{permille}]"]
        inner += ["    if bucket < at:", "        below += 1"]
        inner += [f"while below * 1000 >= counted * {permille}:", "    at -= 1", "    below -= s[@buckets + at]"]
        inner += [f"while (below + s[@buckets + at]) * 1000 < counted * {permille}:"]
        inner += ["    below += s[@buckets + at]", "    at += 1"]
        inner += ["while s[@buckets + at] == 0:", "    at += 1"]
        inner += [f"s[@bucket_{permille}] = at", f"s[@below_{permille}] = below"]
    return ["if own:", *indented(inner)]


def recent_updating(value: str, capacity: int) -> list[str]:
    """Lines that move a hash to the front of its list; a full list forgets the one not used for longest."""
    return [
        f"if {value}:",
        f"    length = s[@recent_{value}]",
        "    at = 0",
        f"    while at < length and s[@list_{value} + at] != {value}:",
        "        at += 1",
        "    if at == length:",
        f"        if length < {capacity}:",
        f"            s[@recent_{value}] = length + 1",
        "        else:",
        "            at -= 1",
        "    if at:",
        f"        s[@list_{value} + 1:@list_{value} + at + 1] = s[@list_{value}:@list_{value} + at]",
        f"    s[@list_{value}] = {value}",
    ]


def last_place_updating() -> list[str]:
    """Lines that keep where and when the latest payment with a place was made."""
    return [
        "if placed and time >= s[@place_time]:",
        "    s[@place_time] = time",
        "    s[@place_x] = x",
        "    s[@place_y] = y",
        "    s[@place_z] = z",
    ]
