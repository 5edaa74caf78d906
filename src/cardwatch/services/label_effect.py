"""What a label does to feature state: a payment's states count it as fraud, or no longer do.

Only payments whose decision came with their effect on state are counted there, and so are their labels: those that
could not be scored at all are not, and what another feature definition wrote is not understood and left as it is.
"""

from cardwatch.domain.changes import PutState
from cardwatch.domain.errors import CardwatchError
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.features.engine import FeatureEngine
from cardwatch.ports import Store
from cardwatch.services.feature_state import state_after_label


def label_effect(transaction_id: str, change: int, *, store: Store, engine: FeatureEngine) -> tuple[PutState, ...]:
    """Compute the effect of a label: 1 for a payment now known as fraud, -1 for one that is no longer.

    Raises CardwatchError when the payment is not decided: its label counts nowhere before the payment itself does.
    """
    record = store.transaction(transaction_id)
    if record is None:
        return ()
    if record.status is Status.PENDING:
        raise CardwatchError("the payment was labelled before it was decided")
    return effect_on(record, change, store=store, engine=engine)


def effect_on(record: TransactionRecord, change: int, *, store: Store, engine: FeatureEngine) -> tuple[PutState, ...]:
    """Compute the effect of a label of a decided payment, nothing if the payment is not counted in state."""
    if record.decision is None or record.decision.spec_hash is None:
        return ()
    account = store.account(record.transaction.user_id)
    return state_after_label(record.transaction, account, change, store=store, engine=engine)
