"""The routes of payments. `POST /transaction` is plain ASGI: it is the route whose speed the product is judged by."""

import asyncio
import re
from typing import Annotated

import msgspec
from litestar import Controller, Response, asgi, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import Receive as LitestarReceive
from litestar.types import Scope as LitestarScope
from litestar.types import Send as LitestarSend
from msgspec import Meta

from cardwatch.domain.bodies import CARD_NUMBER_REFUSED, NO_CONTROL
from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.label import LabelSource, LabelValue
from cardwatch.domain.submission import Submission, check_submission
from cardwatch.domain.transaction import Status
from cardwatch.entrypoints.http.asgi import Receive, Send
from cardwatch.entrypoints.http.bodies import AnyRequest, BodyReader, read_json, read_query, require_json
from cardwatch.entrypoints.http.edge import respond
from cardwatch.entrypoints.http.problems import MEDIA_TYPE, HttpProblem, problem_body, problem_of
from cardwatch.entrypoints.views import (
    ReasonsView,
    TransactionPageView,
    TransactionView,
    view_reasons,
    view_transaction,
)
from cardwatch.runtime.application import Application
from cardwatch.services.explain_transaction import NotExplained
from cardwatch.services.label_transaction import Labelling
from cardwatch.services.record_transaction import Recorded, Recording

LIMIT_DEFAULT = 50
LIMIT_MAX = 500

CURSOR = "t[0-9a-f]{1,15}"
"""A position, for nobody to read: clients pass on what they were given."""

WAIT_S_MAX = 30
"""Longest wait that `Prefer: wait=N` is granted, in seconds."""

_SUBMISSION = BodyReader(Submission, check=check_submission, fill={"user_id": "any", "amount": "1", "merchant": "any"})
_encode = msgspec.json.Encoder().encode
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,6})(?![0-9])")
_ASYNC = re.compile(r"(?:^|,)\s*respond-async\s*(?:$|[,;=])")


class LabelSubmission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /transaction/{id}/label`."""

    label: LabelValue
    source: Annotated[str, Meta(pattern=r"^(analyst|chargeback)\Z")] = "analyst"
    note: Annotated[str, Meta(max_length=500, pattern=NO_CONTROL)] | None = None
    replace: bool = False


def _check_label(body: LabelSubmission) -> None:
    if body.note is not None and contains_card_number(body.note):
        raise InvalidInput.at("/note", CARD_NUMBER_REFUSED)


_LABEL = BodyReader(LabelSubmission, check=_check_label, fill={"label": LabelValue.FRAUD})


@asgi("/transaction", copy_scope=False)
async def post_transaction(scope: LitestarScope, receive: LitestarReceive, send: LitestarSend) -> None:
    """Take a payment in and answer with its decision, or with 202 if that takes longer than the sender waits."""
    application: Application = scope["litestar_app"].state.application
    headers = {name: value for name, value in scope["headers"] if name == b"content-type"}
    prefer = b",".join(value for name, value in scope["headers"] if name == b"prefer").decode("latin-1")
    try:
        if scope["method"] != "POST":  # type: ignore[typeddict-item]
            raise HttpProblem(405, "use POST", headers={"Allow": "POST"})  # noqa: TRY301
        require_json(headers.get(b"content-type", b"").decode("latin-1"))
        submission = _SUBMISSION.read(await _read_body(receive))  # type: ignore[arg-type]
        wait_ms = waiting_ms(prefer, application.settings.decision_timeout_ms)
        recorded = await application.record(submission, wait_ms=wait_ms)
        await _answer(recorded, send)  # type: ignore[arg-type]
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500 and problem.status != 503:
            raise
        await respond(send, problem.status, problem_body(problem), MEDIA_TYPE, problem.headers)  # type: ignore[arg-type]


async def _read_body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpProblem(400, "the body ended early")
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _answer(recorded: Recorded, send: Send) -> None:
    transaction_id = recorded.record.transaction.transaction_id
    if recorded.recording is Recording.CONFLICT:
        raise HttpProblem(409, f"transaction_id {transaction_id} is taken by a payment with other content")
    pending = recorded.record.status is Status.PENDING
    status = 202 if pending else 200 if recorded.recording is Recording.SAME else 201
    headers = {"Location": f"/transaction/{transaction_id}"} if status != 200 else {}
    await respond(send, status, _encode(view_transaction(recorded.record)), "application/json", headers)


def waiting_ms(prefer: str, default_ms: int) -> int:
    """Return how long to wait for a decision by the Prefer header (RFC 7240), in ms.

    Both preferences together ask to wait, and to be answered 202 after that (section 4.3).
    """
    if not prefer:
        return default_ms
    preferences = prefer.lower()
    wait = _WAIT.search(preferences)
    if wait:
        return min(int(wait.group(1)), WAIT_S_MAX) * 1000
    return 0 if _ASYNC.search(preferences) else default_ms


class Transactions(Controller):
    """Reading and labelling payments."""

    path = "/"

    @get("/transaction/{transaction_id:str}")
    async def transaction(self, transaction_id: FromPath[str], state: State) -> TransactionView:
        """Return a payment."""
        application: Application = state.application
        record = application.transaction(transaction_id)
        if record is None:
            raise HttpProblem(404, "there is no transaction with this id")
        return view_transaction(record)

    @get("/transaction/{transaction_id:str}/reasons")
    async def reasons(self, transaction_id: FromPath[str], state: State) -> ReasonsView:
        """Explain a payment's score, whatever was decided, from the vector that the model saw."""
        application: Application = state.application
        record = application.transaction(transaction_id)
        if record is None:
            raise HttpProblem(404, "there is no transaction with this id")
        # Explaining takes milliseconds and gives the interpreter away; payments must not wait behind it.
        explained = await asyncio.to_thread(application.explain, record)
        if isinstance(explained, NotExplained):
            raise HttpProblem(409, explained.why)
        return view_reasons(explained)

    @get("/transactions")
    async def transactions(self, request: AnyRequest, state: State) -> TransactionPageView:
        """Return payments newest first, of an account, a status or both."""
        query = read_query(request, ("user_id", "status", "limit", "cursor"))
        application: Application = state.application
        page = application.transactions(
            user_id=query.get("user_id"),
            status=_status(query.get("status")),
            limit=page_limit(query.get("limit")),
            before=_position(query.get("cursor")),
        )
        return TransactionPageView(
            [view_transaction(record) for record in page.records],
            None if page.next_before is None else _cursor(page.next_before),
        )

    @post("/transaction/{transaction_id:str}/label", status_code=200)
    async def label(
        self, transaction_id: FromPath[str], request: AnyRequest, state: State
    ) -> Response[TransactionView]:
        """Say what a payment turned out to be."""
        body = await read_json(request, _LABEL)
        application: Application = state.application
        labelled = await application.label(
            transaction_id, value=body.label, source=LabelSource(body.source), note=body.note, replace=body.replace
        )
        if labelled.record is None:
            raise HttpProblem(404, "there is no transaction with this id")
        if labelled.labelling is Labelling.CONFLICT:
            raise HttpProblem(409, 'an analyst has labelled this payment otherwise; send "replace": true to replace it')
        if labelled.labelling is Labelling.UNDECIDED:
            raise HttpProblem(409, "this payment is not decided yet; try again in a moment")
        return Response(view_transaction(labelled.record))


def page_limit(text: str | None) -> int:
    """Read the size of a page; raises InvalidInput."""
    if text is None:
        return LIMIT_DEFAULT
    if not re.fullmatch("[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= LIMIT_MAX:
        raise InvalidInput.at("/limit", f"must be a whole number from 1 to {LIMIT_MAX}")
    return int(text)


def _status(text: str | None) -> Status | None:
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        raise InvalidInput.at("/status", f"must be one of {', '.join(status.value for status in Status)}") from None


def _cursor(position: int) -> str:
    return f"t{position:x}"


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not re.fullmatch(CURSOR, cursor):
        raise InvalidInput.at("/cursor", "must be a next_cursor that this API gave")
    return int(cursor[1:], 16)
