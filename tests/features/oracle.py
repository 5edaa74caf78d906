"""Every feature by its words in `docs/features.md`, as joins and groups over tables: no tile is kept and no total.

Each payment is joined to all that were applied before it with the same key, so this is for some thousand payments.
Nothing here uses the generated programs, their plan, or the integers that they read.
"""

from collections.abc import Sequence

import polars as pl

from tests.features.oracle_parts import (
    DAY,
    HOUR,
    KINDS,
    LABEL_TILE,
    MINUTE,
    REMEMBERED_USES,
    STEPS,
    WINDOWS,
    Applied,
    bit,
    distance,
    distinct,
    joined,
    known_month,
    labels_of,
    members,
    of_key,
    payments_of,
    ratio,
    risk,
    run_of_frauds,
    sums_of_windows,
    tiles_of_labels,
    usual,
    with_earlier,
    within,
)


def oracle(applied: Sequence[Applied], *, label_delay_s: int) -> pl.DataFrame:
    """Return the features of the payments in their order of application, a column each; NaN: missing."""
    payments, labels = payments_of(applied), labels_of(applied)
    found = payments.select("at").with_columns(_of_payment(payments).drop("at"))
    for frame in (
        _account(payments, labels, label_delay_s),
        _merchant(payments, labels, label_delay_s),
        _device(payments, labels, label_delay_s),
        _pair(payments),
    ):
        found = found.join(frame, on="at", how="left", maintain_order="left")
    return found.drop("at").with_columns(pl.all().cast(pl.Float64).fill_null(float("nan")))


# The payment itself


def _of_payment(payments: pl.DataFrame) -> pl.DataFrame:
    return payments.select(
        "at",
        amount=pl.when(pl.col("own") == 1).then(pl.col("amount")),
        foreign_currency=1 - pl.col("own"),
        local_hour=pl.col("hour"),
        night=pl.col("night"),
        weekend=pl.col("weekend"),
        place_unresolved=pl.col("unresolved"),
        location_missing=pl.col("x").is_null() & ~pl.col("unresolved"),
        home_distance_km=distance(("x", "home_x"), ("y", "home_y"), ("z", "home_z")),
    )


# The account


def _account(payments: pl.DataFrame, labels: pl.DataFrame, delay_s: int) -> pl.DataFrame:
    own = of_key(payments, "account").with_columns(merchant_bit=bit("merchant"))
    columns = ("one", "own", "amount", "scale", "bucket", "small", "night", "merchant_bit")
    before = with_earlier(own, "account", *columns)
    sums = before.group_by("at").agg(
        *sums_of_windows(),
        *_amounts(),
        pl.len().alias("payments"),
        pl.col("then").min().alias("first"),
        pl.col("then").max().alias("last"),
        pl.col("night").sum().alias("nights"),
        pl.col("small").filter(within(*WINDOWS["1h"])).sum().alias("small_1h"),
        distinct("merchant_bit", DAY, 12 * HOUR).alias("merchants_1d"),
    )
    own = joined(own, sums, _last_place(own), known_month(tiles_of_labels(own, "account", labels, delay_s)))
    uses = [_first_use(own, value) for value in REMEMBERED_USES]
    own = joined(own, _large(own), *uses)
    return own.select("at", **_account_features())


def _amounts() -> list[pl.Expr]:
    """What is known of all amounts before: how many, their sum, largest, place on the scale, median and q90."""
    counted = pl.col("own") == 1
    buckets = pl.col("bucket").filter(counted).sort()
    places = {"median": (counted.sum() + 1) // 2, "q90": (counted.sum() * 9 + 9) // 10}
    return [
        pl.col("own").sum().alias("owns"),
        pl.col("amount").sum().alias("spent"),
        pl.col("amount").max().alias("most"),
        pl.col("scale").sum().alias("scales"),
        (pl.col("scale") * pl.col("scale")).sum().alias("squares"),
        *[
            buckets.slice(pl.max_horizontal(place.cast(pl.Int64) - 1, pl.lit(0)), 1).first().alias(f"bucket_{name}")
            for name, place in places.items()
        ],
    ]


def _middle(bucket: str) -> pl.Expr:
    """Middle of a bucket an eighth of a doubling wide, in minor units."""
    doublings = pl.lit(2).cast(pl.Int64).pow(pl.col(bucket) // 8)
    return ratio(doublings * (17 + 2 * (pl.col(bucket) % 8)), 16.0)


def _large(own: pl.DataFrame) -> pl.DataFrame:
    """Measure every payment by the median of its time, then look at those of the windows."""
    above = pl.col("scale") - pl.col("bucket_median") * 8 - 4
    excess = pl.when((pl.col("own") == 1) & (pl.col("owns") >= 3)).then(above.clip(0)).otherwise(0)
    # Two and a half times lie a quarter of the second doubling above the first.
    own = own.with_columns(excess=excess).with_columns(high=(pl.col("excess") >= STEPS + STEPS // 4).cast(pl.Int64))
    before = with_earlier(own, "account", "excess", "high")
    parts = []
    for days in (7, 14):
        inside = within(days * DAY, DAY)
        parts += [pl.col("high").filter(inside).sum().alias(f"large_{days}d")]
        parts += [pl.col("excess").filter(inside).max().alias(f"largest_{days}d")]
    return before.group_by("at").agg(parts)


def _first_use(own: pl.DataFrame, value: str) -> pl.DataFrame:
    """Whether a payment's merchant (place, ...) is none of those that the account used most recently."""
    used = own.filter(pl.col(value).is_not_null())
    then = used.select("account", pl.col(value).alias("used"), pl.col("at").alias("before"))
    before = own.select("at", "account").join(then, on="account").filter(pl.col("before") < pl.col("at"))
    latest = before.group_by("at", "used").agg(pl.col("before").max())
    order = pl.col("before").rank("ordinal", descending=True).over("at")
    recent = latest.filter(order <= REMEMBERED_USES[value])
    lists = recent.group_by("at").agg(pl.col("used"))
    found = own.select("at", value).join(lists, on="at")
    known = pl.col("used").list.contains(pl.col(value))
    new = pl.when(pl.col(value).is_not_null()).then(1 - known.cast(pl.Int64))
    return found.select("at", new.alias(f"new_{value}"))


def _last_place(own: pl.DataFrame) -> pl.DataFrame:
    """Find the place of the latest placed payment; of the same second, the one applied last."""
    placed = with_earlier(own, "account", *"xyz").filter(pl.col("x").is_not_null())
    last = [pl.col(name).sort_by("then", "before").last().alias(f"last_{name}") for name in (*"xyz", "then")]
    return placed.group_by("at").agg(last)


def _account_features() -> dict[str, pl.Expr]:
    col = pl.col
    paid, own = col("payments").is_not_null(), col("own") == 1
    features = {
        "account_amount_mean": ratio(col("spent"), col("owns")),
        "account_amount_median": _middle("bucket_median"),
        "account_amount_q90": _middle("bucket_q90"),
        "amount_to_median": pl.when(own).then(ratio(col("amount"), _middle("bucket_median"))),
        "amount_to_q90": pl.when(own).then(ratio(col("amount"), _middle("bucket_q90"))),
        "amount_to_max": pl.when(own).then(ratio(col("amount"), col("most"))),
        **_deviations(),
    }
    for kind in ("count", "sum"):
        features |= {f"account_{kind}_{name}": col(f"{kind}_{name}").fill_null(0) for name in WINDOWS}
    daily, spending = usual("count", col("first")), usual("sum", col("first"))
    moved = distance(("x", "last_x"), ("y", "last_y"), ("z", "last_z"))
    between = (col("time") - col("last_then")).abs().clip(60)
    return {
        **features,
        "account_usual_per_day": pl.when(paid).then(daily),
        "account_usual_sum_per_day": pl.when(paid).then(spending),
        "account_count_1h_to_usual": ratio(col("count_1h") * 24, daily),
        "account_count_1d_to_usual": ratio(col("count_1d"), daily),
        "account_sum_1d_to_usual": ratio(col("sum_1d"), spending),
        **{f"account_large_{days}d": col(f"large_{days}d").fill_null(0) for days in (7, 14)},
        **{f"account_largest_{days}d": ratio(col(f"largest_{days}d").fill_null(0), float(STEPS)) for days in (7, 14)},
        "account_small_1h": col("small_1h").fill_null(0),
        "account_seconds_since_last": col("now") - col("last"),
        "account_merchants_1d": members(col("merchants_1d").fill_null(0)),
        "account_payments": col("payments").fill_null(0),
        "account_age_days": ratio(col("end") - col("first"), float(DAY)),
        "account_night_share": ratio(col("nights"), col("payments")),
        **{f"account_new_{value}": col(f"new_{value}") for value in REMEMBERED_USES},
        "last_place_distance_km": moved,
        "speed_kmh": ratio(moved * float(HOUR), between),
        "account_frauds_30d": col("known_frauds").fill_null(0),
    }


def _deviations() -> dict[str, pl.Expr]:
    """Standard deviations from mean and median; the spread is at least a quarter of a doubling."""
    col = pl.col
    count = col("owns")
    spread = pl.max_horizontal(
        count * col("squares") - col("scales") * col("scales"), count * count * (STEPS // 4) ** 2
    )
    root = spread.cast(pl.Float64).sqrt()
    enough = (col("own") == 1) & (count >= 3)
    from_median = (col("scale") - col("bucket_median") * 8 - 4) * count
    return {
        "amount_deviation": pl.when(enough).then(ratio(col("scale") * count - col("scales"), root)),
        "amount_deviation_from_median": pl.when(enough).then(ratio(from_median, root)),
    }


# The merchant, the device, and the account at the merchant


def _merchant(payments: pl.DataFrame, labels: pl.DataFrame, delay_s: int) -> pl.DataFrame:
    own = of_key(payments, "merchant", closed_minutes=True).with_columns(account_bit=bit("account"))
    sums = (
        with_earlier(own, "merchant", "one", "own", "amount", "account_bit")
        .group_by("at")
        .agg(
            *sums_of_windows(),
            pl.col("own").sum().alias("owns"),
            pl.col("amount").sum().alias("spent"),
            pl.len().cast(pl.Int64).alias("payments"),
            (pl.col("then").min() // MINUTE * MINUTE).alias("first"),
            distinct("account_bit", DAY, 6 * HOUR).alias("accounts_1d"),
        )
    )
    tiles = tiles_of_labels(own, "merchant", labels, delay_s)
    own = joined(own, sums, known_month(tiles), run_of_frauds(tiles))
    col, run = pl.col, pl.col("run").fill_null(0)
    daily, spending = usual("count", col("first")), usual("sum", col("first"))
    return own.select(
        "at",
        **{f"merchant_{kind}_{name}": col(f"{kind}_{name}").fill_null(0) for kind in KINDS for name in WINDOWS},
        merchant_usual_per_day=daily,
        merchant_usual_sum_per_day=spending,
        merchant_count_1h_to_usual=ratio(col("count_1h") * 24, daily),
        merchant_count_1d_to_usual=ratio(col("count_1d"), daily),
        merchant_amount_mean=ratio(col("spent"), col("owns")),
        amount_to_merchant_mean=_to_mean(),
        merchant_payments=col("payments").fill_null(0),
        merchant_age_days=ratio(col("end") - col("first"), float(DAY)),
        merchant_accounts_1d=members(col("accounts_1d").fill_null(0)),
        merchant_risk_30d=risk(),
        merchant_known_30d=col("known_payments").fill_null(0),
        merchant_fraud_run=run,
        merchant_fraud_run_days=pl.when(run > 0).then(ratio(col("run_tiles") * LABEL_TILE, float(DAY))),
        merchant_genuine_days=ratio(col("genuine_tiles") * LABEL_TILE, float(DAY)),
    )


def _to_mean() -> pl.Expr:
    return pl.when(pl.col("own") == 1).then(ratio(pl.col("amount"), ratio(pl.col("spent"), pl.col("owns"))))


def _device(payments: pl.DataFrame, labels: pl.DataFrame, delay_s: int) -> pl.DataFrame:
    own = of_key(payments, "device").with_columns(account_bit=bit("account"))
    sums = (
        with_earlier(own, "device", "one", "account_bit")
        .group_by("at")
        .agg(
            pl.col("one").filter(within(*WINDOWS["1h"])).sum().alias("count_1h"),
            distinct("account_bit", 7 * DAY, DAY).alias("accounts_7d"),
            pl.len().alias("payments"),
            pl.col("then").min().alias("first"),
        )
    )
    own = joined(own, sums, known_month(tiles_of_labels(own, "device", labels, delay_s)))
    col = pl.col
    return own.select(
        "at",
        device_count_1h=col("count_1h").fill_null(0),
        device_accounts_7d=members(col("accounts_7d").fill_null(0)),
        device_payments=col("payments").fill_null(0),
        device_age_days=ratio(col("end") - col("first"), float(DAY)),
        device_risk_30d=risk(),
    )


def _pair(payments: pl.DataFrame) -> pl.DataFrame:
    own = of_key(payments, "pair")
    sums = (
        with_earlier(own, "pair", "own", "amount")
        .group_by("at")
        .agg(
            pl.col("own").sum().alias("owns"),
            pl.col("amount").sum().alias("spent"),
            pl.len().alias("payments"),
            pl.col("then").max().alias("last"),
        )
    )
    return joined(own, sums).select(
        "at",
        pair_payments=pl.col("payments").fill_null(0),
        pair_seconds_since_last=pl.col("now") - pl.col("last"),
        pair_amount_mean=ratio(pl.col("spent"), pl.col("owns")),
        amount_to_pair_mean=_to_mean(),
    )
