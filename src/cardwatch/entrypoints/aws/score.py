"""The function that decides payments, from the table's stream.

Each record is decided by itself. What another try may help (the store is busy) is reported as failed, and the stream
delivers it again, with all that came after it; what would fail again goes to review at once, with its cause in a dead
letter, and holds up nothing.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from cardwatch.domain.errors import OperatingError, StoreCorrupt
from cardwatch.domain.transaction import TransactionRecord
from cardwatch.entrypoints.aws.context import remaining_ms, request_id_of
from cardwatch.entrypoints.aws.streams import StreamRecord, batch_answer, stream_records
from cardwatch.runtime.aws.deciding import Decider, Outcome
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.invocation import invocation
from cardwatch.runtime.aws.judging import asking_of, chosen_judges, endpoint_judges
from cardwatch.services.score_transaction import Judges

RESERVE_MS: Final = 3_000
"""Left of an invocation's time when no further record is begun: what is under way must be recorded."""

_log = structlog.get_logger("cardwatch.score")


def handle(event: Mapping[str, Any], context: Any, home: Home) -> dict[str, Any]:
    """Decide the payments of a batch, with the model at hand or the endpoint that the settings name."""
    return _handle(event, context, home, local_decider)


def handle_with_endpoint(event: Mapping[str, Any], context: Any, home: Home) -> dict[str, Any]:
    """Decide the payments of a batch with a SageMaker endpoint, and the model at hand behind it."""
    return _handle(event, context, home, endpoint_decider)


def local_decider(home: Home) -> Decider:
    """Return what decides as the settings say."""
    return _decider(home, chosen_judges)


def endpoint_decider(home: Home) -> Decider:
    """Return what decides with an endpoint."""
    return _decider(home, endpoint_judges)


def _decider(home: Home, judges: Callable[[Home], Judges]) -> Decider:
    return Decider(home, judges=home.part(judges), asking=home.part(asking_of))


def _handle(event: Mapping[str, Any], context: Any, home: Home, decider: Callable[[Home], Decider]) -> dict[str, Any]:
    with invocation(home, request_id=request_id_of(context)):
        failed = []
        for record in stream_records(event):
            result = "failed"
            if remaining_ms(context) > RESERVE_MS:
                result = _score(record, home, home.part(decider))
            if result == "failed":
                failed.append(record)
            home.metrics.count("stream_records_total", {"result": result})
        if failed:
            _log.warning("records_failed", records=len(failed))
        return dict(batch_answer(failed))


def _score(record: StreamRecord, home: Home, decider: Decider) -> str:
    """Return what came of a record: "failed" if it has to be delivered again."""
    if not record.new_and_pending:
        return "skipped"
    try:
        return _decide(record, home, decider)
    except OperatingError as error:
        if not error.retryable:
            return _poison(record, decider, error)
        _log.warning("payment_not_decided", transaction_id=record.transaction_id, error=type(error).__name__)
        return "failed"
    except Exception as error:  # noqa: BLE001  poison must not block what stands behind it
        return _poison(record, decider, error)


def _decide(record: StreamRecord, home: Home, decider: Decider) -> str:
    if record.transaction_id is None:
        return _set_aside(record, decider, "the stream record names no payment")
    payment = _payment(record, home)
    if payment is None:
        return _set_aside(record, decider, "the payment of a stream record is not stored")
    return decider.decide(payment).value


def _payment(record: StreamRecord, home: Home) -> TransactionRecord | None:
    """Return a record's payment from its own image where the store has such, else as it is stored."""
    if home.read_image is not None:
        with suppress(StoreCorrupt, KeyError, TypeError):
            payment = home.read_image(record.raw)
            if payment is not None:
                return payment
    return home.store.transaction(record.transaction_id or "")


def _poison(record: StreamRecord, decider: Decider, error: Exception) -> str:
    _log.error("scoring_failed", transaction_id=record.transaction_id, error=type(error).__name__, exc_info=error)
    return _set_aside(record, decider, f"{type(error).__name__}: scoring failed")


def _set_aside(record: StreamRecord, decider: Decider, cause: str) -> str:
    """Send a record's payment to review; where not even that can be written now, it comes again."""
    try:
        outcome = decider.set_aside(record.transaction_id or f"stream:{record.sequence_number}", cause)
    except OperatingError as error:
        _log.warning("payment_not_set_aside", transaction_id=record.transaction_id, error=type(error).__name__)
        return "failed"
    return "poison" if outcome in (Outcome.REVIEW, Outcome.GONE) else outcome.value
