"""Source text that keeps an entity's state: one function per thing remembered, each returning lines to unroll.

The text uses integers, slices of equal length and `while` alone, so that it runs on a list and on an integer array.
"""

from collections.abc import Sequence

from cardwatch.features.encode import OCTAVE_STEPS, SKETCH_BITS
from cardwatch.features.plan import LABELS, STEPS_PER_BUCKET, Plan, Ring, is_bits, is_sum

HIGH_STEPS = OCTAVE_STEPS * 5 // 4
"""An amount is high for an account from two and a half times its median on."""

HIGH_PAYMENTS_MIN = 3
"""Below this many amounts nobody knows what is high for an account."""

HIGH_TIMES = 4
"""A confirmed fraud of so many times what is usually paid at the merchant tells of the card, not of the merchant."""

assert SKETCH_BITS < 63  # noqa: S101 - a joined bit set must stay a positive 64-bit integer


def indented(lines: list[str]) -> list[str]:
    """Return lines one level deeper."""
    return ["    " + line for line in lines]


def ring_reading(ring: Ring) -> list[str]:
    """Lines that set the ring's value of each column, as of `end`, without changing the state."""
    name, added = ring.name, ring.totalled
    lines = [f"low_{name} = end // {ring.tile_s} - {ring.capacity}", f"length = s[@ring_{name}]"]
    lines += [f"{column}_{name} = s[@total_{column}_{name}]" for column in added]
    if added:
        lines += [f"if length and s[@tiles_{name}] <= low_{name}:", "    i = 0"]
        lines += [f"    while i < length and s[@tiles_{name} + i] <= low_{name}:"]
        lines += [f"        {column}_{name} -= s[@tiles_{column}_{name} + i]" for column in added]
        lines += ["        i += 1"]
    return [*lines, *_walk(ring)]


def _walk(ring: Ring) -> list[str]:
    """Lines that go over the tiles, newest first, for what has no running total."""
    name, walked = ring.name, {column for column, _ in ring.walked}
    whole = [column for column in ring.columns if column not in walked and column not in ring.totalled]
    if not whole and not walked:
        return []
    parts = [(column, f"{column}_{window_s}_{ring.tile_s}", window_s) for column, window_s in ring.walked]
    lines = [f"{column}_{name} = 0" for column in whole] + [f"{local} = 0" for _, local, _ in parts]
    inner = [line for column in whole for line in _join(column, f"{column}_{name}", f"s[@tiles_{column}_{name} + i]")]
    for column, local, window_s in parts:
        joined = _join(column, local, f"s[@tiles_{column}_{name} + i]")
        shorter = (ring.window_s - window_s) // ring.tile_s
        inner += [f"if s[@tiles_{name} + i] > low_{name} + {shorter}:", *indented(joined)] if shorter else joined
    lines += ["i = length - 1", f"while i >= 0 and s[@tiles_{name} + i] > low_{name}:", *indented(inner), "    i -= 1"]
    return lines


def _join(column: str, target: str, what: str) -> list[str]:
    """Lines that join another value of a column to what the target holds: all bits, the larger, or the sum."""
    if is_bits(column):
        return [f"{target} |= {what}"]
    if is_sum(column):
        return [f"{target} += {what}"]
    return [f"if {what} > {target}:", f"    {target} = {what}"]


def pending_reading(plan: Plan, slot: int) -> list[str]:
    """Lines that add a closed minute which was not folded yet to everything that was read."""
    inner = [f"at = s[@minute_{slot}] * 60"]
    if "first" in plan.scalars:
        inner += ["if all_payments == 0 or at < all_first:", "    all_first = at"]
    inner += [f"all_{name} += s[@{name}_{slot}]" for name in plan.scalars if name != "first"]
    for ring in plan.windows:
        inner += [f"if at // {ring.tile_s} > low_{ring.name}:"]
        for column in ring.columns:
            inner += indented(_join(column, f"{column}_{ring.name}", f"s[@{column}_{slot}]"))
    return [f"if s[@payments_{slot}] and s[@minute_{slot}] < cut:", *indented(inner)]


def ring_expiry(ring: Ring) -> list[str]:
    """Lines that drop the tiles which have left the window as of `end`."""
    name = ring.name
    inner = ["gone = 1", f"while gone < length and s[@tiles_{name} + gone] <= low:", "    gone += 1"]
    added = ring.totalled
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


def ring_adding(ring: Ring, contributions: Sequence[str] | None = None) -> list[str]:
    """Lines that add contributions at `time` to their tile, unless it has left the window (below `low`).

    Without a choice of contributions all columns of the ring take theirs.
    """
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
    for column in ring.columns if contributions is None else contributions:
        inner += _join(column, f"s[@tiles_{column}_{name} + at]", column)
        if column in ring.totalled:
            inner += [f"s[@total_{column}_{name}] += {column}"]
    return [f"tile = time // {ring.tile_s}", "if tile > low:", *indented(inner)]


def excess_setting(plan: Plan) -> list[str]:
    """Lines that set `excess`, the steps of an amount above the median so far, and `high`, whether that is much."""
    asked = {column for ring in plan.windows for column in ring.columns}
    if not asked & {"excess", "high"}:
        return []
    middle = STEPS_PER_BUCKET // 2
    return [
        "excess = 0",
        f"if own and s[@own] >= {HIGH_PAYMENTS_MIN}:",
        f"    excess = scale - s[@bucket_500] * {STEPS_PER_BUCKET} - {middle}",
        "if excess < 0:",
        "    excess = 0",
        f"high = 1 if excess >= {HIGH_STEPS} else 0",
    ]


def labels_reading(plan: Plan, delay_s: int) -> list[str]:
    """Lines that walk back over the tiles whose labels are known: all their payments are `delay_s` old or older.

    Sets the counts of each window, and of the run of confirmed frauds its length, its first tile and that of the last
    genuine payment before it (-1: none). Payments without a label count as genuine.
    A label that was taken back may leave fewer frauds than low ones, or less than none: both are kept in bounds.
    """
    ring = plan.rings[LABELS]
    paid = "payments" in ring.columns
    lines = [f"known = (now - {delay_s - 1}) // {ring.tile_s} - 1", "i = s[@ring_labels] - 1"]
    lines += ["while i >= 0 and s[@tiles_labels + i] > known:", "    i -= 1"]
    counted = ("payments", "frauds") if paid else ("frauds",)
    lines += [f"{column}_known_{window_s} = 0" for window_s in plan.label_windows for column in counted]
    lines += ["run = 0", "run_first = 0", "genuine = -1", "running = 1"] if plan.run else []
    reach = max(plan.label_windows, default=0) // ring.tile_s
    more = (
        f"(running or s[@tiles_labels + i] > known - {reach})"
        if plan.run
        else f"s[@tiles_labels + i] > known - {reach}"
    )
    inner = ["tile = s[@tiles_labels + i]", "frauds = s[@tiles_frauds_labels + i]"]
    inner += ["if frauds < 0:", "    frauds = 0"]
    inner += ["payments = s[@tiles_payments_labels + i]"] if paid else []
    for window_s in plan.label_windows:
        inner += [f"if tile > known - {window_s // ring.tile_s}:"]
        inner += [f"    {column}_known_{window_s} += {column}" for column in counted]
    inner += _run_reading() if plan.run else []
    return [*lines, f"while i >= 0 and {more}:", *indented(inner), "    i -= 1"]


def _run_reading() -> list[str]:
    """Lines of the walk that follow the run back to its beginning."""
    return [
        "if running:",
        "    low_frauds = s[@tiles_low_frauds_labels + i]",
        "    if low_frauds > frauds:",
        "        low_frauds = frauds",
        "    if payments > frauds:",
        "        running = 0",
        "        genuine = tile",
        "    elif low_frauds > 0:",
        "        run += low_frauds",
        "        run_first = tile",
    ]


def label_updating(plan: Plan) -> list[str]:
    """Lines that add `change` to the frauds of the tile of a payment; a tile that state has forgotten stays so."""
    ring = plan.rings[LABELS]
    if "payments" not in ring.columns:
        adding = [f"low = last // {ring.tile_s} - {ring.capacity}", "length = s[@ring_labels]", "frauds = change"]
        return ["if time <= last:", *indented([*adding, *ring_adding(ring)])]
    lines = [f"tile = time // {ring.tile_s}", "at = s[@ring_labels] - 1"]
    lines += ["while at >= 0 and s[@tiles_labels + at] > tile:", "    at -= 1"]
    inner = ["s[@tiles_frauds_labels + at] += change"]
    if "low_frauds" in ring.columns:
        # As floats, which cannot overflow: a busy merchant makes many payments.
        low = f"s[@own] == 0 or amount * 1.0 * s[@own] < {HIGH_TIMES}.0 * s[@amount]"
        inner += [f"if {low}:", "    s[@tiles_low_frauds_labels + at] += change"]
    return [*lines, "if at >= 0 and s[@tiles_labels + at] == tile:", *indented(inner)]


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
