"""The latest day of the data folder on which holders were asked, or would have been if they could be reached.

Payments are taken as they were scored; accounts as they are now, but not on hold. What is true of a payment its label
says, else its score, which is a calibrated probability.
"""

from collections.abc import Callable, Iterator

import msgspec

from cardwatch.domain.account import Account
from cardwatch.domain.decision import DecidedBy, Decision, Outcome
from cardwatch.domain.label import LabelValue
from cardwatch.domain.times import DAY_MS, format_instant
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.ports import StoreReader
from cardwatch.services.reach import Unreachable
from cardwatch.simulation.chance import Chance
from cardwatch.simulation.day import Case, Day

LOOK_BACK_DAYS = 7

_PAGE = 500
_NOT_ASKED = frozenset(reason.value for reason in Unreachable)


def stored_day(
    store: StoreReader, *, now_ms: int, chance: Chance, progress: Callable[[int], None] = lambda _: None
) -> Day | None:
    """Return the latest day (UTC) of the last seven with a suspicious payment, None where there is none.

    `progress` is called with the number of payments read.
    """
    found: list[tuple[TransactionRecord, Decision]] = []
    suspicious = False
    for record, decision in _decided_since(store, now_ms - LOOK_BACK_DAYS * DAY_MS, progress):
        if found and decision.decided_at_ms // DAY_MS != found[-1][1].decided_at_ms // DAY_MS:
            if suspicious:
                break
            found.clear()
        found.append((record, decision))
        suspicious = suspicious or _was_suspicious(decision)
    if not suspicious:
        return None
    accounts = {user_id: _account(store, user_id) for user_id in {record.transaction.user_id for record, _ in found}}
    cases = [_case(record, decision, accounts, chance) for record, decision in reversed(found)]
    phones = {account.phone_number for account in accounts.values() if account and account.phone_number}
    day = format_instant(found[0][1].decided_at_ms)[:10]
    return Day(
        source=f"the {len(cases):,} payments that were decided on {day} (UTC)",
        cases=tuple(sorted(cases, key=lambda case: case.decided_at_ms)),
        opted_out=frozenset(phone for phone in phones if store.opted_out_since(phone) is not None),
    )


def _decided_since(
    store: StoreReader, since_ms: int, progress: Callable[[int], None]
) -> Iterator[tuple[TransactionRecord, Decision]]:
    """Yield payments that were decided here, newest first; imported history lies between them unseen."""
    before: int | None = None
    while True:
        page = store.transactions(limit=_PAGE, before=before)
        progress(len(page.records))
        for record in page.records:
            decision = record.decision
            if decision is None or decision.decided_by is DecidedBy.IMPORT:
                continue
            if decision.decided_at_ms < since_ms:
                return
            yield record, decision
        if page.next_before is None:
            return
        before = page.next_before


def _was_suspicious(decision: Decision) -> bool:
    return decision.outcome is Outcome.CHALLENGE or (
        decision.outcome is Outcome.REVIEW and decision.detail in _NOT_ASKED
    )


def _account(store: StoreReader, user_id: str) -> Account | None:
    account = store.account(user_id)
    return None if account is None else msgspec.structs.replace(account, held_since_ms=None, version=1)


def _case(record: TransactionRecord, decision: Decision, accounts: dict[str, Account | None], chance: Chance) -> Case:
    transaction, label = record.transaction, record.label
    if label is not None:
        fraud = label.value is LabelValue.FRAUD
    else:
        fraud = chance.happens(decision.score or 0.0, transaction.transaction_id, "fraud")
    return Case(
        transaction=transaction,
        account=accounts[transaction.user_id],
        score=decision.score,
        threshold=1.0 if decision.threshold is None else decision.threshold,
        decided_at_ms=decision.decided_at_ms,
        fraud=fraud,
    )
