"""An export says of each payment what is known of it, and since when."""

import pytest

from cardwatch.adapters.memory import MemoryStore
from cardwatch.domain.changes import AddLabel, AddTransaction
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.times import format_instant
from cardwatch.services.export_payments import COLUMNS, export_rows
from tests.builders import NOW_MS, make_label, make_transaction

FRAUD, GENUINE = LabelValue.FRAUD, LabelValue.GENUINE
ANALYST, CHARGEBACK, CARDHOLDER = LabelSource.ANALYST, LabelSource.CHARGEBACK, LabelSource.CARDHOLDER


@pytest.mark.parametrize(
    ("said", "label", "source", "since"),
    [
        ([], "", "", None),
        ([(FRAUD, CARDHOLDER)], "fraud", "cardholder", 0),
        ([(FRAUD, CARDHOLDER), (FRAUD, CHARGEBACK)], "fraud", "chargeback", 0),
        ([(FRAUD, CARDHOLDER), (GENUINE, ANALYST), (FRAUD, CHARGEBACK)], "fraud", "chargeback", 2),
        ([(GENUINE, CARDHOLDER), (FRAUD, CHARGEBACK), (FRAUD, ANALYST)], "fraud", "analyst", 1),
    ],
)
def test_label_is_available_since_its_value_was_first_said(
    said: list[tuple[LabelValue, LabelSource]], label: str, source: str, since: int | None
) -> None:
    """Without a contrary word in between: then feature state counted it, and a replay of the export does."""
    store = MemoryStore()
    assert store.apply([AddTransaction(make_transaction())]) is None
    before: LabelSource | None = None
    for number, (value, by) in enumerate(said):
        spoken = make_label(value=value, source=by, available_at_ms=NOW_MS + number)
        assert store.apply([AddLabel(spoken, before)]) is None
        before = by
    (row,) = export_rows(store)
    cells = dict(zip(COLUMNS, row, strict=True))
    available = "" if since is None else format_instant(NOW_MS + since)
    assert (cells["label"], cells["label_source"], cells["available_at"]) == (label, source, available)
