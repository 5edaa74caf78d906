"""Features of the account's history: amounts, bursts, habits, places, confirmed fraud."""

from cardwatch.features.spec import DAY_S, HOUR_S, MINUTE_S, WINDOWS, Feature, Printed
from cardwatch.features.table.labels import confirmed
from cardwatch.features.table.windows import against_usual, usual, windowed


def _amounts(name: str, aggregation: str, *, unit: str, why: str, printed: Printed, text: str) -> Feature:
    """A row that puts amounts in relation to the account's own."""
    return Feature(
        name=name,
        entity="account",
        value="amount",
        aggregation=aggregation,
        unit=unit,
        why=why,
        printed=printed,
        code="AMOUNT_AGAINST_USUAL" if printed is not Printed.MONEY else "ACCOUNT_SPENDING_LEVEL",
        text=text,
        text_low=text.replace("high", "low") if "high" in text else text,
        usual="account_amount_median" if printed is not Printed.MONEY else None,
    )


_ACCOUNT_AMOUNTS = (
    _amounts(
        "account_amount_mean",
        "mean",
        unit="minor units",
        why="What the account spends on average.",
        printed=Printed.MONEY,
        text="The account's average payment is {value}",
    ),
    _amounts(
        "account_amount_median",
        "median",
        unit="minor units",
        why="What the account usually spends; the middle of a bucket an eighth of a doubling wide.",
        printed=Printed.MONEY,
        text="The account's usual payment is {value}",
    ),
    _amounts(
        "account_amount_q90",
        "quantile_90",
        unit="minor units",
        why="What nine of ten payments stay below.",
        printed=Printed.MONEY,
        text="Nine of ten payments of the account stay below {value}",
    ),
    _amounts(
        "amount_to_median",
        "ratio_to_median",
        unit="times",
        why="An amount far above the account's usual is the plainest sign of a stolen card.",
        printed=Printed.TIMES,
        text="The amount is {value} the account's usual {usual}",
    ),
    _amounts(
        "amount_to_q90",
        "ratio_to_quantile_90",
        unit="times",
        why="Compares with the account's larger payments, so that rent is no surprise.",
        printed=Printed.TIMES,
        text="The amount is {value} what nine of ten payments stay below (usual: {usual})",
    ),
    _amounts(
        "amount_to_max",
        "ratio_to_maximum",
        unit="times",
        why="Above 1 the account never paid so much.",
        printed=Printed.TIMES,
        text="The amount is {value} the largest so far (usual: {usual})",
    ),
    _amounts(
        "amount_deviation",
        "deviation",
        unit="standard deviations on a scale of doublings",
        why="Measures surprise by how much this account's amounts vary; from 3 amounts on.",
        printed=Printed.NUMBER,
        text="The amount is unusually high for this account (usual: {usual})",
    ),
    _amounts(
        "amount_deviation_from_median",
        "deviation_from_median",
        unit="standard deviations on a scale of doublings",
        why="As above, from the median, which a few large payments do not move.",
        printed=Printed.NUMBER,
        text="The amount is unusually high for this account (usual: {usual})",
    ),
)


def _large(name: str, words: str, window_s: int) -> tuple[Feature, Feature]:
    """Rows of the payments of a window that were large for the account."""
    return (
        Feature(
            name=f"account_large_{name}",
            entity="account",
            value="high",
            aggregation="large",
            window_s=window_s,
            tile_s=DAY_S,
            unit="payments of two and a half times the median of their time, or more",
            why="Who has the card number goes on until the card is closed.",
            printed=Printed.COUNT,
            code="LARGE_PAYMENTS",
            text=f"{{value}} payments far above the account's usual in {words}",
            text_low=f"{{value}} payments far above the account's usual in {words}",
        ),
        Feature(
            name=f"account_largest_{name}",
            entity="account",
            value="excess",
            aggregation="largest_excess",
            window_s=window_s,
            tile_s=DAY_S,
            unit="doublings above the median of its time",
            why="One payment far above the usual casts doubt on those that follow.",
            printed=Printed.NUMBER,
            code="LARGE_PAYMENTS",
            text=f"A payment in {words} was {{value}} doublings above the account's usual",
            text_low=f"The largest payment in {words} was {{value}} doublings above the account's usual",
        ),
    )


_ACCOUNT_EXCESS = (
    *_large("7d", "the last 7 days", 7 * DAY_S),
    *_large("14d", "the last 14 days", 14 * DAY_S),
)


_ACCOUNT_HABITS = (
    Feature(
        name="account_small_1h",
        entity="account",
        value="small",
        aggregation="sum",
        window_s=HOUR_S,
        tile_s=5 * MINUTE_S,
        unit="payments below 2.00",
        why="Stolen cards are tried out with a run of tiny payments.",
        printed=Printed.COUNT,
        code="SMALL_AMOUNT_RUN",
        text="{value} tiny payments in the last hour",
        text_low="{value} tiny payments in the last hour",
    ),
    Feature(
        name="account_seconds_since_last",
        entity="account",
        value="payments",
        aggregation="seconds_since_last",
        unit="seconds",
        why="Thieves hurry.",
        printed=Printed.DURATION,
        code="TIME_SINCE_LAST",
        text="{value} since the last payment",
        text_low="Only {value} since the last payment",
    ),
    Feature(
        name="account_merchants_1d",
        entity="account",
        value="merchant_bit",
        aggregation="distinct",
        window_s=DAY_S,
        tile_s=12 * HOUR_S,
        unit="merchants, estimated up to 292",
        why="A stolen card goes round the shops.",
        printed=Printed.COUNT,
        code="MERCHANTS_VISITED",
        text="About {value} different merchants in the last day",
        text_low="About {value} different merchants in the last day",
    ),
    Feature(
        name="account_payments",
        entity="account",
        value="payments",
        aggregation="total",
        unit="payments",
        why="How much is known about the account.",
        printed=Printed.COUNT,
        code="ACCOUNT_HISTORY",
        text="The account has made {value} payments so far",
        text_low="The account has made only {value} payments so far",
    ),
    Feature(
        name="account_age_days",
        entity="account",
        value="payments",
        aggregation="age_days",
        unit="days",
        why="New accounts are opened for fraud, and little is known about them.",
        printed=Printed.DAYS,
        code="ACCOUNT_AGE",
        text="The account's first payment was {value} ago",
        text_low="The account's first payment was only {value} ago",
    ),
    Feature(
        name="account_night_share",
        entity="account",
        value="night",
        aggregation="share",
        unit="share, 0 to 1",
        why="Tells holders who live by night from those who do not.",
        printed=Printed.SHARE,
        code="NIGHT_HABIT",
        text="{value} of the account's payments are made at night",
        text_low="Only {value} of the account's payments are made at night",
    ),
)


def _new(name: str, value: str, what: str, code: str) -> Feature:
    """A row that tells whether the account uses something for the first time in a while."""
    return Feature(
        name=name,
        entity="account",
        value=value,
        aggregation="first_use",
        unit="0 or 1",
        why=f"Most payments go to a {what} that the account used before.",
        printed=Printed.FLAG,
        code=code,
        text=f"The account has not used this {what} before",
        text_low=f"The account has used this {what} before",
    )


_ACCOUNT_PLACES = (
    _new("account_new_merchant", "merchant_hash", "merchant", "NEW_MERCHANT"),
    _new("account_new_place", "place_hash", "place", "NEW_PLACE"),
    _new("account_new_country", "country_hash", "country", "NEW_COUNTRY"),
    _new("account_new_device", "device_hash", "device", "NEW_DEVICE"),
    Feature(
        name="last_place_distance_km",
        entity="account",
        value="place",
        aggregation="last_place_distance",
        unit="km, straight line",
        why="A card that is suddenly elsewhere may have been copied.",
        printed=Printed.DISTANCE,
        code="FAR_FROM_LAST_PLACE",
        text="Paid {value} from the last place",
        text_low="Paid near the last place ({value})",
    ),
    Feature(
        name="speed_kmh",
        entity="account",
        value="place",
        aggregation="speed",
        unit="km/h",
        why="Nobody travels faster than an airliner.",
        printed=Printed.SPEED,
        code="IMPOSSIBLE_TRAVEL",
        text="Getting here from the last place takes {value}",
        text_low="Getting here from the last place takes {value}",
    ),
)

ACCOUNT = (
    *_ACCOUNT_AMOUNTS,
    *(windowed("account", value, window) for value in ("payments", "amount") for window in WINDOWS),
    usual("account", "payments"),
    usual("account", "amount"),
    against_usual("account", "payments", WINDOWS[0]),
    against_usual("account", "payments", WINDOWS[1]),
    against_usual("account", "amount", WINDOWS[1]),
    *_ACCOUNT_EXCESS,
    *_ACCOUNT_HABITS,
    *_ACCOUNT_PLACES,
    confirmed("account"),
)
"""The rows, in order."""
