"""The function of the schedule: what time alone brings about, and what an invocation lost.

Every minute: questions expire and are put again, and Notify is woken for what is due. With `{"tasks": ["pending"]}`,
more rarely: payments that nobody decided are decided. And as the receiver of Score's failure destination: payments
that the stream gave up on (retries spent, too old) go to review with that cause.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from cardwatch.domain.errors import OperatingError
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.entrypoints.aws.context import remaining_ms, request_id_of
from cardwatch.entrypoints.aws.score import local_decider
from cardwatch.entrypoints.aws.stream_failures import failed_batches
from cardwatch.runtime.aws.deciding import Decider
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.invocation import invocation
from cardwatch.runtime.aws.speaking import own_addresses, sender_of
from cardwatch.services.escalate_challenges import escalate_challenges
from cardwatch.services.expire_challenges import expire_challenges

BATCH: Final = 100
DUE_MAX: Final = 500
ROUNDS_MAX: Final = 20

PENDING_AGE_MS: Final = 120_000
"""A payment that has been pending for so long was lost on its way to Score."""

PENDING_MAX: Final = 50

RESERVE_MS: Final = 5_000

_log = structlog.get_logger("cardwatch.sweep")


def handle(event: Mapping[str, Any], context: Any, home: Home) -> dict[str, Any]:
    """Do the tasks of an event, those of every minute where it names none; returns how much each did.

    One that fails does not keep the others from being done. For a batch of a queue, names the messages that failed.
    """
    with invocation(home, request_id=request_id_of(context)):
        if event.get("Records"):
            return _take_failures(event, home)
        done: dict[str, Any] = {}
        for name in event.get("tasks") or ("expire", "escalate", "send"):
            try:
                done[name] = TASKS[name](home, context)
            except OperatingError as error:
                _log.warning("sweep_postponed", task=name, error=type(error).__name__)
                done[name] = None
        return done


def _expire(home: Home, context: Any) -> int:
    return _in_rounds(home, context, "expired", expire_challenges)


def _escalate(home: Home, context: Any) -> int:
    return _in_rounds(home, context, "escalated", escalate_challenges)


def _in_rounds(home: Home, context: Any, outcome: str, work: Callable[..., Sequence[str]]) -> int:
    total = 0
    for _ in range(ROUNDS_MAX):
        done = work(
            store=home.store,
            sender=home.part(sender_of),
            now_ms=home.clock.now_ms(),
            token=home.token(),
            limit=BATCH,
        )
        if done:
            home.metrics.count("challenges_total", {"outcome": outcome}, len(done))
        total += len(done)
        if len(done) < BATCH or remaining_ms(context) < RESERVE_MS:
            break
    return total


def _send(home: Home, _: Any) -> int:
    """Wake Notify for what is due; what was put into the outbox just now is announced anyway."""
    announced = set(home.take_noted())
    ids = list(announced)
    for channel in ("sms", *own_addresses(home.settings)):
        due = home.store.due_message_ids(channel=channel, now_ms=home.clock.now_ms(), limit=DUE_MAX)
        ids += [each for each in due if each not in announced]
    home.wake_notify(ids)
    return len(ids)


def _decide_pending(home: Home, context: Any) -> int:
    """Decide payments that have been pending for too long, else send them to review."""
    before_ms = home.clock.now_ms() - PENDING_AGE_MS
    decider = home.part(local_decider)
    page = home.store.transactions(status=Status.PENDING, limit=PENDING_MAX)
    late = [record for record in page.records if record.transaction.received_at_ms <= before_ms]
    for number, record in enumerate(late):
        if remaining_ms(context) < RESERVE_MS:
            return number
        _decide_late(decider, record)
    return len(late)


def _decide_late(decider: Decider, record: TransactionRecord) -> None:
    transaction_id = record.transaction.transaction_id
    _log.warning("payment_was_lost", transaction_id=transaction_id)
    try:
        decider.decide(record)
    except OperatingError as error:
        if error.retryable:
            raise
        decider.set_aside(transaction_id, f"{type(error).__name__}: scoring failed")
    except Exception as error:  # noqa: BLE001  it goes to review, with its cause
        _log.error("scoring_failed", transaction_id=transaction_id, exc_info=error)
        decider.set_aside(transaction_id, f"{type(error).__name__}: scoring failed")


def _take_failures(event: Mapping[str, Any], home: Home) -> dict[str, Any]:
    """Send the payments of batches that the stream gave up on to review."""
    failed: list[dict[str, str]] = []
    for batch in failed_batches(event):
        try:
            for transaction_id in batch.transaction_ids(home.settings):
                record = home.store.transaction(transaction_id)
                if record is not None and record.status is Status.PENDING:
                    _log.error("stream_gave_up", transaction_id=transaction_id, cause=batch.cause)
                    home.part(local_decider).set_aside(transaction_id, f"stream: {batch.cause}")
        except OperatingError as error:
            _log.warning("failed_batch_postponed", error=type(error).__name__, why=str(error))
            failed.append({"itemIdentifier": batch.message_id})
    return {"batchItemFailures": failed}


TASKS: Final[Mapping[str, Callable[[Home, Any], int]]] = {
    "expire": _expire,
    "escalate": _escalate,
    "send": _send,
    "pending": _decide_pending,
}
