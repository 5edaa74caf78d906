"""Features of the merchant's history; its name is none of them."""

from cardwatch.features.spec import DAY_S, HOUR_S, WINDOWS, Feature, Printed
from cardwatch.features.table.windows import against_usual, usual, windowed

_HISTORY = (
    Feature(
        name="merchant_amount_mean",
        entity="merchant",
        value="amount",
        aggregation="mean",
        unit="minor units",
        why="What is usually paid at the merchant.",
        printed=Printed.MONEY,
        code="MERCHANT_PRICE_LEVEL",
        text="At this merchant {value} is usual",
        text_low="At this merchant {value} is usual",
    ),
    Feature(
        name="amount_to_merchant_mean",
        entity="merchant",
        value="amount",
        aggregation="ratio_to_mean",
        unit="times",
        why="An amount unlike what others pay there.",
        printed=Printed.TIMES,
        code="AMOUNT_AGAINST_MERCHANT",
        text="The amount is {value} what is usually paid at this merchant ({usual})",
        text_low="The amount is only {value} what is usually paid at this merchant ({usual})",
        usual="merchant_amount_mean",
    ),
    Feature(
        name="merchant_payments",
        entity="merchant",
        value="payments",
        aggregation="total",
        unit="payments",
        why="How much is known about the merchant.",
        printed=Printed.COUNT,
        code="MERCHANT_HISTORY",
        text="{value} payments at this merchant so far",
        text_low="Only {value} payments at this merchant so far",
    ),
    Feature(
        name="merchant_age_days",
        entity="merchant",
        value="payments",
        aggregation="age_days",
        unit="days",
        why="Merchants set up for fraud are new.",
        printed=Printed.DAYS,
        code="MERCHANT_AGE",
        text="The first payment at this merchant was {value} ago",
        text_low="The first payment at this merchant was only {value} ago",
    ),
    Feature(
        name="merchant_accounts_1d",
        entity="merchant",
        value="account_bit",
        aggregation="distinct",
        window_s=DAY_S,
        tile_s=6 * HOUR_S,
        unit="accounts, estimated up to 292",
        why="Many accounts at once are a rush or a compromised merchant; one account alone is a till for one thief.",
        printed=Printed.COUNT,
        code="MERCHANT_ACCOUNTS",
        text="About {value} different accounts paid at this merchant in the last day",
        text_low="About {value} different accounts paid at this merchant in the last day",
    ),
)

MERCHANT = (
    *(windowed("merchant", value, window) for value in ("payments", "amount") for window in WINDOWS),
    usual("merchant", "payments"),
    usual("merchant", "amount"),
    against_usual("merchant", "payments", WINDOWS[0]),
    against_usual("merchant", "payments", WINDOWS[1]),
    *_HISTORY,
)
"""The rows, in order."""
