"""One function per kind of change, on items in memory; each says whether its condition held.

Challenges, messages and what hangs on them are in `conversation_writes`, erasures in `erase`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from cardwatch.adapters.dynamodb import codecs
from cardwatch.adapters.dynamodb.conversation_items import (
    DEAD_LETTER_COUNTER,
    cursor_key,
    dead_letter_item,
    dead_letter_key,
    new_item,
)
from cardwatch.adapters.dynamodb.conversation_writes import (
    add_challenge,
    add_message,
    put_challenge,
    put_message,
    put_opt_out,
    set_aside_challenge,
    set_aside_message,
)
from cardwatch.adapters.dynamodb.erase import erase_account
from cardwatch.adapters.dynamodb.names import Key, Table
from cardwatch.adapters.dynamodb.payments import ArrivalOrder, day_of, is_payment, new_payment, payment_key, with_status
from cardwatch.adapters.dynamodb.states import state_item, state_key
from cardwatch.adapters.dynamodb.values import Item, datas, number
from cardwatch.adapters.dynamodb.workspace import Workspace, held
from cardwatch.domain.changes import (
    AddChallenge,
    AddDeadLetter,
    AddLabel,
    AddMessage,
    AddTransaction,
    Change,
    DecideTransaction,
    EraseAccount,
    MoveTransaction,
    PutAccount,
    PutChallenge,
    PutMessage,
    PutOptOut,
    PutState,
    RemoveDeadLetter,
    SetAsideChallenge,
    SetAsideMessage,
    SetCursor,
    require_payment_move,
)
from cardwatch.domain.label import log_detail
from cardwatch.domain.transaction import Status
from cardwatch.ports import DeadLetter


def evaluate(
    work: Workspace, changes: Sequence[Change], *, order: ArrivalOrder, note_day: Callable[[str], None]
) -> Change | None:
    """Work a list of changes out; returns the first whose condition does not hold. Raises IllegalMove.

    `note_day` hears of each day on which a payment is received, before its item is written.
    """
    for change in changes:
        if isinstance(change, AddTransaction):
            done = _add_transaction(work, change, order, note_day)
        else:
            done = WRITERS[type(change)](work, change)
        if not done:
            return change
    return None


def _add_transaction(
    work: Workspace, change: AddTransaction, order: ArrivalOrder, note_day: Callable[[str], None]
) -> bool:
    transaction = change.transaction
    key = payment_key(transaction.transaction_id)
    if work.expect(key, None) is not None:
        return False
    sequence = order.place(transaction.received_at_ms)
    note_day(day_of(sequence))
    work.put(key, new_payment(transaction, sequence))
    work.log(key, "transaction.recorded", Status.PENDING)
    return True


def _decide_transaction(work: Workspace, change: DecideTransaction) -> bool:
    require_payment_move(Status.PENDING, change.status)
    key = payment_key(change.transaction_id)
    item = work.expect(key, {"status": Status.PENDING.value})
    if item is None or not held(item, "status", Status.PENDING.value):
        return False
    decided = with_status(item, change.status)
    work.put(key, decided | {"decision": codecs.encode_decision(change.decision)})
    work.log(key, "transaction.decided", change.status)
    return True


def _move_transaction(work: Workspace, change: MoveTransaction) -> bool:
    require_payment_move(change.expected, change.status)
    key = payment_key(change.transaction_id)
    item = work.load(key)
    if item is None or not held(item, "status", change.expected.value):
        return False
    work.put(key, with_status(item, change.status))
    work.log(key, "transaction.moved", f"{change.status}:{change.cause}")
    return True


def _add_label(work: Workspace, change: AddLabel) -> bool:
    label = change.label
    key = payment_key(label.transaction_id)
    item = work.load(key)
    if item is None or not is_payment(item):
        return False
    labels = datas(item, "labels")
    previous = codecs.decode_label(labels[-1]) if labels else None
    if (previous.source if previous else None) is not change.expected:
        return False
    work.put(key, {**item, "labels": [*labels, codecs.encode(label)]})
    work.log(key, "label.imported" if change.applied else "label.added", log_detail(label, previous))
    return True


def _put_state(work: Workspace, change: PutState) -> bool:
    key = state_key(change.entity, change.key)
    before = change.version - 1
    item = work.expect(key, {"version": before} if before else None)
    if (number(item, "version") if item else 0) != before:
        return False
    work.put(key, (item or state_item(key)) | {"version": change.version, "blob": change.blob})
    return True


def _put_account(work: Workspace, change: PutAccount) -> bool:
    account = change.account
    key: Key = (Table.ACCOUNTS, account.user_id, "")
    before = account.version - 1
    item = work.load(key) if before else work.expect(key, None)
    if (number(item, "version") if item else 0) != before:
        return False
    put: Item = {"user_id": account.user_id, "version": account.version, "listed": "accounts"}
    work.put(key, (item or {}) | put | {"body": codecs.encode(account)})
    return True


def _set_cursor(work: Workspace, change: SetCursor) -> bool:
    key = cursor_key(change.consumer)
    item = work.load(key)
    if (number(item, "position") if item else 0) != change.expected:
        return False
    work.put(key, (item or new_item(key)) | {"position": change.position})
    return True


def _add_dead_letter(work: Workspace, change: AddDeadLetter) -> bool:
    counter = work.load(DEAD_LETTER_COUNTER) or new_item(DEAD_LETTER_COUNTER) | {"last": 0}
    given = number(counter, "last") + 1
    work.put(DEAD_LETTER_COUNTER, counter | {"last": given})
    letter = DeadLetter(given, change.consumer, change.key, change.cause, change.payload, change.at_ms)
    work.expect(dead_letter_key(given), None)
    work.put(dead_letter_key(given), dead_letter_item(letter))
    return True


def _remove_dead_letter(work: Workspace, change: RemoveDeadLetter) -> bool:
    key = dead_letter_key(change.dead_letter_id)
    if work.load(key) is None:
        return False
    work.put(key, None)
    return True


WRITERS: Final[dict[type, Callable[[Workspace, Any], bool]]] = {
    DecideTransaction: _decide_transaction,
    MoveTransaction: _move_transaction,
    PutState: _put_state,
    PutAccount: _put_account,
    EraseAccount: erase_account,
    AddChallenge: add_challenge,
    PutChallenge: put_challenge,
    SetAsideChallenge: set_aside_challenge,
    AddMessage: add_message,
    PutMessage: put_message,
    SetAsideMessage: set_aside_message,
    PutOptOut: put_opt_out,
    AddLabel: _add_label,
    SetCursor: _set_cursor,
    AddDeadLetter: _add_dead_letter,
    RemoveDeadLetter: _remove_dead_letter,
}
