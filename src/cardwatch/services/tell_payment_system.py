"""Tell the payment system what becomes of payments, and the analysts what waits for them, from the change log.

A consumer of the log: each status that a payment takes becomes one callback, and each review one alert; the rows of
the outbox and the position in the log are one write. So nothing is told twice by us and nothing is lost in a crash;
the receiver knows a callback that is delivered twice by its id.
"""

from collections.abc import Sequence

import msgspec

from cardwatch.domain.changes import AddDeadLetter, AddMessage, Change, SetCursor
from cardwatch.domain.decision import DecidedBy
from cardwatch.domain.errors import StoreCorrupt
from cardwatch.domain.message import Direction, Message, MessageKind, MessageState
from cardwatch.domain.times import DAY_MS, format_instant
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.ports import DeadLetter, LogEntry, Store
from cardwatch.services.alerts import alert
from cardwatch.services.reach import Sender

CONSUMER = "callback"
CALLBACK_CHANNEL = "callback"
CALLBACK_LIFE_MS = 3 * DAY_MS
"""How long a callback is tried; the Standard Webhooks specification advises several days."""

FROM_THE_START = -1
"""A position before every entry, which tells "nothing read yet" from "never started"."""

_PAGE = 1_000
_KINDS = frozenset({"transaction.decided", "transaction.moved"})
_encode = msgspec.json.Encoder(order="deterministic").encode


def start_telling(*, store: Store) -> None:
    """Begin with what happens from now on, if this consumer never ran: the past is not news."""
    if store.cursor(CONSUMER) != 0:
        return
    end = 0
    while entries := store.log(after=end, limit=_PAGE):
        end = entries[-1].sequence
    store.apply([SetCursor(CONSUMER, 0, end or FROM_THE_START)])


def tell_payment_system(*, store: Store, sender: Sender, now_ms: int, limit: int = 100) -> int:
    """Turn up to `limit` entries of the change log into callbacks and alerts; returns how many entries were read."""
    position = store.cursor(CONSUMER)
    entries = store.log(after=position, limit=limit)
    if not entries:
        return 0
    changes: list[Change] = [SetCursor(CONSUMER, position, entries[-1].sequence)]
    for entry in entries:
        if entry.kind in _KINDS:
            changes += _told(entry, store=store, sender=sender, now_ms=now_ms)
    return len(entries) if store.apply(changes) is None else 0


def tell(entry: LogEntry, *, store: Store, sender: Sender, now_ms: int) -> list[Change]:
    """Return the changes that tell one entry; raises StoreCorrupt where its payment cannot be read."""
    return _about(entry, store.transaction(entry.key), store=store, sender=sender, now_ms=now_ms)


def read_told(letter: DeadLetter) -> LogEntry:
    """Return the entry that a letter of this consumer is about."""
    sequence, kind, detail = letter.payload.split(" ", 2)
    return LogEntry(int(sequence), kind, letter.key, detail)


def _told(entry: LogEntry, *, store: Store, sender: Sender, now_ms: int) -> Sequence[Change]:
    try:
        record = store.transaction(entry.key)
    except StoreCorrupt as error:
        payload = f"{entry.sequence} {entry.kind} {entry.detail}"
        return [AddDeadLetter(CONSUMER, entry.key, str(error), payload, now_ms)]
    return _about(entry, record, store=store, sender=sender, now_ms=now_ms)


def _about(
    entry: LogEntry, record: TransactionRecord | None, *, store: Store, sender: Sender, now_ms: int
) -> list[Change]:
    imported = record is not None and record.decision is not None and record.decision.decided_by is DecidedBy.IMPORT
    if record is None or (imported and entry.kind == "transaction.decided"):
        return []
    status, _, cause = entry.detail.partition(":")
    changes: list[Change] = []
    if sender.has(CALLBACK_CHANNEL):
        changes.append(AddMessage(_callback(entry, record, status, cause, sender=sender, now_ms=now_ms)))
    if status == Status.IN_REVIEW:
        changes += _review_alert(entry, record, cause, store=store, sender=sender, now_ms=now_ms)
    return changes


def _callback(
    entry: LogEntry, record: TransactionRecord, status: str, cause: str, *, sender: Sender, now_ms: int
) -> Message:
    transaction, decision, challenge = record.transaction, record.decision, record.challenge
    body = _encode(
        {
            "type": f"transaction.{status}",
            "timestamp": format_instant(now_ms),
            "data": {
                "transaction_id": transaction.transaction_id,
                "user_id": transaction.user_id,
                "status": status,
                "cause": cause or (decision.decided_by.value if decision else None),
                "sequence": entry.sequence,
                "amount": transaction.amount.decimal,
                "currency": transaction.amount.currency,
                "fraud_score": decision.score if decision else None,
                "answer": challenge.answer if challenge else None,
            },
        }
    ).decode()
    return Message(
        message_id=f"callback_{entry.sequence}",
        direction=Direction.OUTBOUND,
        kind=MessageKind.CALLBACK,
        state=MessageState.QUEUED,
        channel=CALLBACK_CHANNEL,
        address=sender.own_address(CALLBACK_CHANNEL),
        own_address="",
        body=body,
        created_at_ms=now_ms,
        due_at_ms=now_ms,
        expires_at_ms=now_ms + CALLBACK_LIFE_MS,
        transaction_id=transaction.transaction_id,
    )


def _review_alert(
    entry: LogEntry, record: TransactionRecord, cause: str, *, store: Store, sender: Sender, now_ms: int
) -> list[Change]:
    transaction, decision = record.transaction, record.decision
    why = cause or (decision.detail if decision and decision.detail else "policy")
    score = f", score {decision.score:.2f}" if decision and decision.score is not None else ""
    return alert(
        f"review_{entry.sequence}",
        title=f"{sender.institution}: a payment waits for review",
        body=f"Payment {transaction.transaction_id} of {transaction.amount.display}{score}: {why}.",
        store=store,
        sender=sender,
        now_ms=now_ms,
        transaction_id=transaction.transaction_id,
    )
