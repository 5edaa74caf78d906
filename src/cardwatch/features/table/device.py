"""Features of the device's history: how many accounts it serves, how busy it is, and its confirmed fraud."""

from cardwatch.features.spec import DAY_S, HOUR_S, MINUTE_S, Feature, Printed
from cardwatch.features.table.labels import risk

DEVICE = (
    Feature(
        name="device_count_1h",
        entity="device",
        value="payments",
        aggregation="sum",
        window_s=HOUR_S,
        tile_s=5 * MINUTE_S,
        unit="payments",
        why="Stolen cards are tried one after the other from one machine.",
        printed=Printed.COUNT,
        code="DEVICE_COUNT",
        text="{value} payments from this device in the last hour",
        text_low="Only {value} payments from this device in the last hour",
    ),
    Feature(
        name="device_accounts_7d",
        entity="device",
        value="account_bit",
        aggregation="distinct",
        window_s=7 * DAY_S,
        tile_s=DAY_S,
        unit="accounts, estimated up to 292",
        why="A holder's telephone pays for one account or two, a thief's for many.",
        printed=Printed.COUNT,
        code="DEVICE_ACCOUNTS",
        text="About {value} different accounts paid from this device in the last 7 days",
        text_low="About {value} different accounts paid from this device in the last 7 days",
    ),
    Feature(
        name="device_payments",
        entity="device",
        value="payments",
        aggregation="total",
        unit="payments",
        why="How much is known about the device.",
        printed=Printed.COUNT,
        code="DEVICE_HISTORY",
        text="{value} payments from this device so far",
        text_low="Only {value} payments from this device so far",
    ),
    Feature(
        name="device_age_days",
        entity="device",
        value="payments",
        aggregation="age_days",
        unit="days",
        why="Thieves change machines often.",
        printed=Printed.DAYS,
        code="DEVICE_AGE",
        text="The first payment from this device was {value} ago",
        text_low="The first payment from this device was only {value} ago",
    ),
    risk("device"),
)
"""The rows, in order; all are missing where a payment names no device."""
