"""The function that takes payments in: durable first, then 202, or decided in the request where that is set.

`Prefer: wait=N` looks at the payment again and again for N seconds; with `respond-async` nobody waits, whatever is set.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, cast

import structlog

from cardwatch.domain.errors import InvalidInput, OperatingError
from cardwatch.domain.submission import Submission
from cardwatch.domain.transaction import Status, TransactionRecord
from cardwatch.entrypoints.api_terms import PAYMENT, recorded_status, waiting_ms
from cardwatch.entrypoints.aws.context import remaining_ms
from cardwatch.entrypoints.aws.proxy import ANY, ApiRequest, ApiResponse, Route, json_response
from cardwatch.entrypoints.aws.serving import serve
from cardwatch.entrypoints.problem_details import HttpProblem
from cardwatch.entrypoints.request_bodies import require_json
from cardwatch.entrypoints.views import view_transaction
from cardwatch.ports import Store
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.places import gazetteer_of
from cardwatch.services.record_transaction import Recorded, Recording, record_transaction

POLL_S: Final = 0.1
GATEWAY_WAIT_MS_MAX: Final = 25_000
"""API Gateway gives an integration 29 s (AWS, quotas)."""

RESERVE_MS: Final = 1_500
"""Left of an invocation's time when waiting ends."""

_INLINE = -1
"""Default wait where payments are decided in the request: not a time."""

_log = structlog.get_logger("cardwatch.transaction")


def handle(event: Mapping[str, Any], context: Any, home: Home) -> dict[str, Any]:
    """Answer a request."""
    routes = [
        Route("POST", "/transaction", partial(_post, home, context)),
        Route(ANY, "/transaction", _refuse),
    ]
    return serve(event, home=home, routes=routes)


def _refuse(_: ApiRequest) -> ApiResponse:
    raise HttpProblem(405, "use POST", headers={"Allow": "POST"})


def _post(home: Home, context: Any, request: ApiRequest) -> ApiResponse:
    require_json(request.headers.get("content-type"))
    submission = PAYMENT.read(request.read_body())
    inline = home.settings.scoring == "inline"
    wait_ms = waiting_ms(request.headers.get("prefer", ""), _INLINE if inline else 0)
    recorded = _recorded(home, submission)
    if recorded.recording is not Recording.CONFLICT and recorded.record.status is Status.PENDING and wait_ms:
        if inline:
            recorded = _decided(home, recorded)
        if wait_ms > 0:
            recorded = _awaited(home, recorded, min(wait_ms, remaining_ms(context) - RESERVE_MS, GATEWAY_WAIT_MS_MAX))
    status = recorded_status(recorded)
    location = f"/transaction/{recorded.record.transaction.transaction_id}"
    return json_response(
        view_transaction(recorded.record), status=status, headers={"Location": location} if status != 200 else {}
    )


def _recorded(home: Home, submission: Submission) -> Recorded:
    """Record a payment, first as one whose id is new: nearly all are, and looking first would be a read for each."""
    record = partial(
        record_transaction,
        submission,
        gazetteer=home.part(gazetteer_of),
        randomness=home.randomness,
        now_ms=home.clock.now_ms(),
    )
    if submission.transaction_id is None:
        return record(store=home.store)
    try:
        return record(store=cast("Store", _NewAtFirst(home.store)))
    except InvalidInput:
        return record(store=home.store)  # the same again is not judged by what its account is by now


class _NewAtFirst:
    """A store that knows no payment when it is asked for the first time; a write finds out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked = False

    def transaction(self, transaction_id: str) -> TransactionRecord | None:
        asked, self._asked = self._asked, True
        return self._store.transaction(transaction_id) if asked else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _decided(home: Home, recorded: Recorded) -> Recorded:
    """Decide a payment now; whatever hinders that, it is recorded, and the stream decides it."""
    transaction_id = recorded.record.transaction.transaction_id
    try:
        from cardwatch.entrypoints.aws.score import local_decider  # noqa: PLC0415  the model, where it is used

        home.part(local_decider).decide(recorded.record)
        record = home.store.transaction(transaction_id)
    except OperatingError as error:
        _log.warning("not_decided_inline", transaction_id=transaction_id, error=type(error).__name__)
        return recorded
    except Exception as error:  # noqa: BLE001  a 2xx was promised: the stream sends it to review, with the cause
        _log.error("not_decided_inline", transaction_id=transaction_id, error=type(error).__name__, exc_info=error)
        return recorded
    return recorded if record is None else Recorded(recorded.recording, record)


def _awaited(home: Home, recorded: Recorded, wait_ms: int) -> Recorded:
    """Look until the payment is decided or the time is over; the time of waiting is real, not the store's."""
    transaction_id = recorded.record.transaction.transaction_id
    deadline = time.monotonic() + wait_ms / 1000
    record = recorded.record
    while record.status is Status.PENDING and (left_s := deadline - time.monotonic()) > 0:
        time.sleep(min(POLL_S, left_s))
        try:
            record = home.store.transaction(transaction_id) or record
        except OperatingError:
            continue
    return Recorded(recorded.recording, record)
