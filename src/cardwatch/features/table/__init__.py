"""The table of features, in the order of the vector."""

from cardwatch.features.spec import Feature
from cardwatch.features.table.account import ACCOUNT
from cardwatch.features.table.device import DEVICE
from cardwatch.features.table.merchant import MERCHANT
from cardwatch.features.table.pair import PAIR
from cardwatch.features.table.payment import PAYMENT

FEATURES: tuple[Feature, ...] = (*PAYMENT, *ACCOUNT, *MERCHANT, *DEVICE, *PAIR)
"""Every feature; the rows of an entity stand together."""
