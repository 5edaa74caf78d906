"""Features of an account's history at one merchant."""

from cardwatch.features.spec import Feature, Printed

PAIR = (
    Feature(
        name="pair_payments",
        entity="pair",
        value="payments",
        aggregation="total",
        unit="payments",
        why="Holders come back to where they paid before; thieves seldom know where that is.",
        printed=Printed.COUNT,
        code="PAIR_HISTORY",
        text="The account has paid {value} times at this merchant before",
        text_low="The account has paid {value} times at this merchant before",
    ),
    Feature(
        name="pair_seconds_since_last",
        entity="pair",
        value="payments",
        aggregation="seconds_since_last",
        unit="seconds",
        why="The same payment at the same place within minutes is a mistake or an attack.",
        printed=Printed.DURATION,
        code="PAIR_TIME_SINCE_LAST",
        text="{value} since the account last paid at this merchant",
        text_low="Only {value} since the account last paid at this merchant",
    ),
    Feature(
        name="pair_amount_mean",
        entity="pair",
        value="amount",
        aggregation="mean",
        unit="minor units",
        why="What the account usually pays there.",
        printed=Printed.MONEY,
        code="PAIR_SPENDING_LEVEL",
        text="The account usually pays {value} at this merchant",
        text_low="The account usually pays {value} at this merchant",
    ),
    Feature(
        name="amount_to_pair_mean",
        entity="pair",
        value="amount",
        aggregation="ratio_to_mean",
        unit="times",
        why="A subscription or a weekly shop costs about the same each time.",
        printed=Printed.TIMES,
        code="AMOUNT_AGAINST_PAIR",
        text="The amount is {value} what the account usually pays at this merchant ({usual})",
        text_low="The amount is only {value} what the account usually pays at this merchant ({usual})",
        usual="pair_amount_mean",
    ),
)
"""The rows, in order."""
