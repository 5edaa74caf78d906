"""The routes of payments. `POST /transaction` is plain ASGI: it is the route whose speed the product is judged by."""

import asyncio

import msgspec
from litestar import Controller, Response, asgi, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import Receive as LitestarReceive
from litestar.types import Scope as LitestarScope
from litestar.types import Send as LitestarSend

from cardwatch.domain.label import LabelSource
from cardwatch.entrypoints.api_terms import (
    LABEL,
    PAYMENT,
    PAYMENTS_QUERY,
    cursor_of,
    labelled_record,
    page_limit,
    payment_found,
    position_of,
    recorded_status,
    status_filter,
    waiting_ms,
)
from cardwatch.entrypoints.http.asgi import Receive, Send
from cardwatch.entrypoints.http.bodies import AnyRequest, read_json, read_query, require_json
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
from cardwatch.services.record_transaction import Recorded

_encode = msgspec.json.Encoder().encode


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
        submission = PAYMENT.read(await _read_body(receive))  # type: ignore[arg-type]
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
    status = recorded_status(recorded)
    transaction_id = recorded.record.transaction.transaction_id
    headers = {"Location": f"/transaction/{transaction_id}"} if status != 200 else {}
    await respond(send, status, _encode(view_transaction(recorded.record)), "application/json", headers)


class Transactions(Controller):
    """Reading and labelling payments."""

    path = "/"

    @get("/transaction/{transaction_id:str}")
    async def transaction(self, transaction_id: FromPath[str], state: State) -> TransactionView:
        """Return a payment."""
        application: Application = state.application
        record = payment_found(application.transaction(transaction_id))
        return view_transaction(record)

    @get("/transaction/{transaction_id:str}/reasons")
    async def reasons(self, transaction_id: FromPath[str], state: State) -> ReasonsView:
        """Explain a payment's score, whatever was decided, from the vector that the model saw."""
        application: Application = state.application
        record = payment_found(application.transaction(transaction_id))
        # Explaining takes milliseconds and gives the interpreter away; payments must not wait behind it.
        explained = await asyncio.to_thread(application.explain, record)
        if isinstance(explained, NotExplained):
            raise HttpProblem(409, explained.why)
        return view_reasons(explained)

    @get("/transactions")
    async def transactions(self, request: AnyRequest, state: State) -> TransactionPageView:
        """Return payments newest first, of an account, a status or both."""
        query = read_query(request, PAYMENTS_QUERY)
        application: Application = state.application
        page = application.transactions(
            user_id=query.get("user_id"),
            status=status_filter(query.get("status")),
            limit=page_limit(query.get("limit")),
            before=position_of(query.get("cursor")),
        )
        return TransactionPageView(
            [view_transaction(record) for record in page.records],
            cursor_of(page.next_before),
        )

    @post("/transaction/{transaction_id:str}/label", status_code=200)
    async def label(
        self, transaction_id: FromPath[str], request: AnyRequest, state: State
    ) -> Response[TransactionView]:
        """Say what a payment turned out to be."""
        body = await read_json(request, LABEL)
        application: Application = state.application
        labelled = await application.label(
            transaction_id, value=body.label, source=LabelSource(body.source), note=body.note, replace=body.replace
        )
        return Response(view_transaction(labelled_record(labelled)))
