"""Rows that an account and a merchant share: payments and their amounts in windows, and what is usual."""

from cardwatch.features.spec import DAY_S, Feature, Printed


def windowed(entity: str, value: str, window: tuple[str, str, int, int]) -> Feature:
    """A row of payments ("payments") or their amounts ("amount") of an entity within a window."""
    name, words, window_s, tile_s = window
    counted = value == "payments"
    whose = "of this account" if entity == "account" else "at this merchant"
    usual = f"{entity}_usual_{'per_day' if counted else 'sum_per_day'}"
    texts = (
        (
            f"{{value}} payments {whose} in {words} (usual: {{usual}} a day)",
            f"Only {{value}} payments {whose} in {words}",
        )
        if counted
        else (
            f"{{value}} spent {whose} in {words} (usual: {{usual}} a day)",
            f"Only {{value}} spent {whose} in {words}",
        )
    )
    return Feature(
        name=f"{entity}_{'count' if counted else 'sum'}_{name}",
        entity=entity,
        value=value,
        aggregation="sum",
        window_s=window_s,
        tile_s=tile_s,
        unit="payments" if counted else "minor units",
        why="Bursts of payments follow a theft."
        if entity == "account"
        else "Shows how busy the merchant is, and rushes.",
        printed=Printed.COUNT if counted else Printed.MONEY,
        code=f"{entity.upper()}_{'COUNT' if counted else 'SUM'}_{name.upper()}",
        text=texts[0],
        text_low=texts[1],
        usual=usual,
    )


def usual(entity: str, value: str) -> Feature:
    """A row of what an entity usually sees in a day."""
    counted = value == "payments"
    return Feature(
        name=f"{entity}_usual_{'per_day' if counted else 'sum_per_day'}",
        entity=entity,
        value=value,
        aggregation="usual",
        window_s=30 * DAY_S,
        tile_s=DAY_S,
        unit="payments a day" if counted else "minor units a day",
        why="What recent bursts are compared with: the last 30 days, or the time since the first payment.",
        printed=Printed.RATE if counted else Printed.MONEY,
        code=f"{entity.upper()}_ACTIVITY",
        text=f"This {entity} usually sees {{value}}{' payments' if counted else ''} a day",
        text_low=f"This {entity} usually sees only {{value}}{' payments' if counted else ''} a day",
    )


def against_usual(entity: str, value: str, window: tuple[str, str, int, int]) -> Feature:
    """A row that compares a window with what is usual in so much time."""
    name, words, window_s, tile_s = window
    counted = value == "payments"
    what = "payments" if counted else "spending"
    kind = "count" if counted else "sum"
    return Feature(
        name=f"{entity}_{kind}_{name}_to_usual",
        entity=entity,
        value=value,
        aggregation="ratio_to_usual",
        window_s=window_s,
        tile_s=tile_s,
        unit="times",
        why=f"A burst of {what} for what this {entity} usually sees.",
        printed=Printed.TIMES,
        code=f"{entity.upper()}_BURST",
        text=f"{what.capitalize()} of this {entity} in {words}: {{value}} the usual ({{usual}} a day)",
        text_low=f"{what.capitalize()} of this {entity} in {words}: {{value}} the usual ({{usual}} a day)",
        usual=f"{entity}_usual_{'per_day' if counted else 'sum_per_day'}",
    )
