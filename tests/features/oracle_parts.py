"""Tables and expressions that `oracle.py` is written in: payments joined to those before them, windows, labels."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import polars as pl

from cardwatch.features.event import PaymentEvent

Applied = tuple[PaymentEvent, int]
"""A payment and 0; or a payment that was applied before and the change of its label: 1 for now known as fraud, -1 for
no longer."""

MINUTE, HOUR, DAY = 60, 3600, 86_400
WINDOWS = {"1h": (HOUR, 300), "1d": (DAY, HOUR), "7d": (7 * DAY, 6 * HOUR), "30d": (30 * DAY, DAY)}
"""Length and tile of each window, in seconds."""
LABEL_TILE = 3 * HOUR
REMEMBERED = 60 * DAY
"""How far back labels and what they are about are remembered."""
REMEMBERED_USES = {"merchant": 16, "place": 16, "country": 8, "device": 8}
SKETCH = 62
EARTH_KM, UNIT = 6371.0, 1_000_000.0
STEPS = 64
"""Steps of a doubling on the scale of amounts."""

KINDS = ("count", "sum")


# Payments and labels as tables


def payments_of(applied: Sequence[Applied]) -> pl.DataFrame:
    rows = [{"at": at, **_fields(event)} for at, (event, change) in enumerate(applied) if not change]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    own = frame["own"].cast(pl.Int64)
    amount = frame["amount_minor"] * own
    octave = 63 - amount.clip(1).bitwise_leading_zeros().cast(pl.Int64)
    steps = amount.clip(1) * STEPS // pl.select(pl.lit(2).cast(pl.Int64).pow(octave)).to_series()
    scale = (octave * STEPS + steps - STEPS) * own
    local = pl.from_epoch(frame["local"], time_unit="s")
    return frame.with_columns(
        own=own,
        amount=amount,
        scale=scale,
        bucket=scale // (STEPS // 8),
        small=own * (amount < 200).cast(pl.Int64),
        hour=local.dt.hour().cast(pl.Int64),
        night=(local.dt.hour() < 6).cast(pl.Int64),
        weekend=(local.dt.weekday() > 5).cast(pl.Int64),
        one=pl.lit(1),
        place=pl.when(pl.col("x").is_not_null()).then(pl.coalesce(pl.col("place"), _cell())),
        pair=pl.when(pl.col("account").is_not_null() & pl.col("merchant").is_not_null()).then(
            pl.concat_str("account", "merchant", separator="\n")
        ),
    )


def _fields(event: PaymentEvent) -> dict[str, object]:
    return {
        "time": event.time_s,
        "local": event.local_time_s,
        "account": event.account or None,
        "merchant": event.merchant or None,
        "device": event.device or None,
        "country": event.country or None,
        "place": event.place_name or None,
        "amount_minor": event.amount_minor,
        "own": not event.foreign_currency,
        "unresolved": event.place_unresolved,
        **dict(zip("xyz", event.place or (None, None, None), strict=True)),
        **dict(zip(("home_x", "home_y", "home_z"), event.home or (None, None, None), strict=True)),
    }


def _cell() -> pl.Expr:
    """A place without a name is known by its cell, 4,000 steps of the unit vector wide."""
    return pl.concat_str([pl.col(axis).floordiv(4_000) for axis in "xyz"], separator=",")


def labels_of(applied: Sequence[Applied]) -> pl.DataFrame:
    rows = [
        {
            "label_at": at,
            "account": event.account,
            "merchant": event.merchant,
            "device": event.device,
            "then": event.time_s,
            "told": 0 if event.foreign_currency else event.amount_minor,
            "change": change,
        }
        for at, (event, change) in enumerate(applied)
        if change
    ]
    texts, integers = ("account", "merchant", "device"), ("label_at", "then", "told", "change")
    schema = {**dict.fromkeys(integers, pl.Int64()), **dict.fromkeys(texts, pl.String())}
    return pl.DataFrame(rows, schema=schema)


# Parts


def ratio(above: pl.Expr, below: pl.Expr | float) -> pl.Expr:
    """Divide as IEEE 754 says, missing where the divisor is missing or 0.

    Polars multiplies by the reciprocal where it divides by one number for all rows, which rounds twice.
    """
    divisor = below if isinstance(below, pl.Expr) else pl.lit(below) + above.cast(pl.Float64) * 0

    def divide(columns: Sequence[pl.Series]) -> pl.Series:
        one, other = (column.cast(pl.Float64).fill_null(float("nan")).to_numpy() for column in columns)
        with np.errstate(divide="ignore", invalid="ignore"):
            return pl.Series(np.where(other == 0, np.nan, one / other))

    return pl.map_batches([above, divisor], divide, return_dtype=pl.Float64).fill_nan(None)


def distance(*ends: tuple[str, str]) -> pl.Expr:
    """Straight line between two places, in km."""
    squares = [(pl.col(one) - pl.col(other)) * (pl.col(one) - pl.col(other)) for one, other in ends]
    return ratio(pl.sum_horizontal(squares, ignore_nulls=False).cast(pl.Float64).sqrt() * EARTH_KM, UNIT)


def of_key(payments: pl.DataFrame, key: str, *, closed_minutes: bool = False) -> pl.DataFrame:
    """Return the payments that have a key; `now` is the latest time seen, `end` the last second that counts."""
    own = payments.filter(pl.col(key).is_not_null()).sort("at").with_columns(now=pl.col("time").cum_max().over(key))
    now = pl.col("now")
    return own.with_columns(end=now // MINUTE * MINUTE - MINUTE - 1 if closed_minutes else now)


def with_earlier(own: pl.DataFrame, key: str, *columns: str) -> pl.DataFrame:
    """Join each payment to those of its key that were applied before it and whose minute counts."""
    then = own.select(key, pl.col("at").alias("before"), pl.col("time").alias("then"), *columns)
    joined = own.select("at", key, "now", "end").join(then, on=key)
    return joined.filter((pl.col("before") < pl.col("at")) & (pl.col("then") <= pl.col("end")))


def within(window_s: int, tile_s: int) -> pl.Expr:
    """Whether a payment's tile is that of `end` or one of those before it that cover the window."""
    tiles = pl.col("end").floordiv(tile_s) - pl.col("then").floordiv(tile_s)
    return tiles.is_between(0, window_s // tile_s)


def distinct(column: str, window_s: int, tile_s: int) -> pl.Expr:
    """Count the bits that the members of a window set in a sketch."""
    return pl.col(column).filter(within(window_s, tile_s)).drop_nulls().n_unique()


def bit(column: str) -> pl.Expr:
    return pl.col(column).map_elements(lambda text: crc32(text.encode()) % SKETCH, return_dtype=pl.Int64)


def members(bits: pl.Expr) -> pl.Expr:
    """Expected number of members that set so many bits: the waits for each next one, together."""
    waits = [float(round(sum(SKETCH / (SKETCH - bit) for bit in range(count)))) for count in range(SKETCH + 1)]
    return bits.replace_strict(list(range(SKETCH + 1)), waits, return_dtype=pl.Float64)


def sums_of_windows() -> list[pl.Expr]:
    """Counts and sums of each window, as integers."""
    return [
        pl.col(value).filter(within(*window)).sum().alias(f"{kind}_{name}")
        for kind, value in (("count", "one"), ("sum", "amount"))
        for name, window in WINDOWS.items()
    ]


def usual(kind: str, first: pl.Expr) -> pl.Expr:
    """What comes in a day of the last 30 days, or of the time since the first payment, at least one day."""
    span = (pl.col("end") - first).clip(DAY, 30 * DAY)
    return ratio(pl.col(f"{kind}_30d"), ratio(span, float(DAY)))


def joined(own: pl.DataFrame, *frames: pl.DataFrame) -> pl.DataFrame:
    for frame in frames:
        own = own.join(frame, on="at", how="left", maintain_order="left")
    return own


# Labels


def _low_changes(own: pl.DataFrame, key: str, labels: pl.DataFrame) -> pl.DataFrame:
    """Add to each change of a label the part of it that is of an amount that is not high (`low`).

    High is four times the mean of the merchant's minutes that were closed when its last payment before was made.
    """
    then = own.select(key, pl.col("at").alias("before"), "time", "own", "amount")
    before = labels.select("label_at", key).join(then, on=key).filter(pl.col("before") < pl.col("label_at"))
    newest = pl.col("time").max().over("label_at")
    closed = before.filter(pl.col("time") // MINUTE < newest // MINUTE - 1)
    means = closed.group_by("label_at").agg(pl.col("own").sum().alias("owns"), pl.col("amount").sum().alias("spent"))
    joined = labels.join(means, on="label_at", how="left").with_columns(pl.col("owns", "spent").fill_null(0))
    low = (pl.col("owns") == 0) | (pl.col("told") * pl.col("owns") < 4 * pl.col("spent"))
    return joined.with_columns(low=pl.when(low).then(pl.col("change")).otherwise(0)).drop("owns", "spent")


def tiles_of_labels(own: pl.DataFrame, key: str, labels: pl.DataFrame, delay_s: int) -> pl.DataFrame:
    """Return for each payment (`at`) the tiles before it that are remembered and whose labels are known.

    Each with its payments, the confirmed frauds among them (`frauds`), and those whose amount is not high (`low`). The
    newest of such tiles is `known`, that of the payment itself `now_tile`.
    """
    of_key = labels.filter(pl.col(key).is_not_null())
    tile = pl.col("then") // LABEL_TILE
    now = own.select(
        "at",
        key,
        (pl.col("now") // LABEL_TILE).alias("now_tile"),
        # Each payment forgets what is too old when it is applied: a later one still finds what was left by then.
        (pl.col("now").shift(1).over(key) // LABEL_TILE - REMEMBERED // LABEL_TILE).alias("oldest"),
        ((pl.col("now") - delay_s + 1) // LABEL_TILE - 1).alias("known"),
    )
    inside = (pl.col("tile") <= pl.col("known")) & (pl.col("tile") >= pl.col("oldest"))
    paid = own.select(key, pl.col("at").alias("before"), (pl.col("time") // LABEL_TILE).alias("tile"))
    said = _low_changes(own, key, of_key).select(key, "label_at", tile.alias("tile"), "change", "low")
    payments = now.join(paid, on=key).filter(pl.col("before") < pl.col("at"), inside)
    changes = now.join(said, on=key).filter(pl.col("label_at") < pl.col("at"), inside)
    counted = payments.group_by("at", "tile", "now_tile", "known").agg(pl.len().cast(pl.Int64).alias("payments"))
    frauds = changes.group_by("at", "tile").agg(pl.col("change").sum().alias("frauds"), pl.col("low").sum())
    joined = counted.join(frauds, on=["at", "tile"], how="left").with_columns(pl.col("frauds", "low").fill_null(0))
    return joined.with_columns(frauds=pl.col("frauds").clip(0)).with_columns(low=pl.min_horizontal("low", "frauds"))


def known_month(tiles: pl.DataFrame) -> pl.DataFrame:
    """Count payments and confirmed frauds of the 30 days before labels are known."""
    month = tiles.filter(pl.col("tile") > pl.col("known") - 30 * DAY // LABEL_TILE)
    counts = [pl.col(name).sum().alias(f"known_{name}") for name in ("payments", "frauds")]
    return month.group_by("at").agg(counts)


def run_of_frauds(tiles: pl.DataFrame) -> pl.DataFrame:
    """Follow confirmed frauds back to the last tile with a genuine payment: their number, and how old both are."""
    genuine = pl.col("tile").filter(pl.col("payments") > pl.col("frauds")).max().over("at")
    run = tiles.with_columns(genuine=genuine)
    later = pl.col("genuine").is_null() | (pl.col("tile") > pl.col("genuine"))
    counted = later & (pl.col("low") > 0)
    return run.group_by("at").agg(
        pl.col("low").filter(counted).sum().alias("run"),
        (pl.col("now_tile").first() - pl.col("tile").filter(counted).min()).alias("run_tiles"),
        (pl.col("now_tile").first() - pl.col("genuine").first()).alias("genuine_tiles"),
    )


def risk() -> pl.Expr:
    """Share of confirmed fraud, drawn to 0.008 by the weight of 5 payments; in thousandths, so that it stays exact."""
    frauds, payments = (pl.col(f"known_{name}").fill_null(0) for name in ("frauds", "payments"))
    return ratio(frauds * 1000 + 40, (payments + 5) * 1000)
