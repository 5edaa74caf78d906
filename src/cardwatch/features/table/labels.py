"""Rows that read labels: confirmed fraud, of payments old enough for their labels to be known (the label delay)."""

from cardwatch.features.spec import DAY_S, LABEL_TILE_S, Feature, Printed

_WHERE = {"account": "of this account", "merchant": "at this merchant", "device": "from this device"}


def confirmed(entity: str) -> Feature:
    """A row of confirmed frauds in a month."""
    return Feature(
        name=f"{entity}_frauds_30d",
        entity=entity,
        value="frauds",
        aggregation="confirmed",
        window_s=30 * DAY_S,
        tile_s=LABEL_TILE_S,
        unit="payments",
        why="Fraud that was confirmed may go on.",
        printed=Printed.COUNT,
        code=f"{entity.upper()}_CONFIRMED_FRAUD",
        text=f"{{value}} confirmed frauds {_WHERE[entity]} in the last 30 days whose labels are known",
        text_low=f"{{value}} confirmed frauds {_WHERE[entity]} in the last 30 days whose labels are known",
    )


def risk(entity: str) -> Feature:
    """A row of the share of confirmed fraud in a month."""
    text = f"{{value}} of the payments {_WHERE[entity]} were fraud in the last 30 days whose labels are known"
    return Feature(
        name=f"{entity}_risk_30d",
        entity=entity,
        value="frauds",
        aggregation="risk",
        window_s=30 * DAY_S,
        tile_s=LABEL_TILE_S,
        unit="share, 0 to 1, drawn to 0.008 by the weight of 5 payments",
        why="Where fraud was confirmed there is often more.",
        printed=Printed.SHARE,
        code=f"{entity.upper()}_RISK",
        text=text,
        text_low=text,
    )
