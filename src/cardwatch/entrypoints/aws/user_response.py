"""The function that shows payments and takes judgements on them: reads, reasons, lists, labels, links in messages."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from cardwatch.domain.label import LabelSource
from cardwatch.entrypoints.api_terms import (
    LABEL,
    PAYMENTS_QUERY,
    cursor_of,
    labelled_record,
    page_limit,
    payment_found,
    position_of,
    status_filter,
)
from cardwatch.entrypoints.aws.answer import answer, look
from cardwatch.entrypoints.aws.proxy import ApiRequest, ApiResponse, Route, json_response
from cardwatch.entrypoints.aws.serving import serve
from cardwatch.entrypoints.problem_details import HttpProblem
from cardwatch.entrypoints.request_bodies import require_json, single_values
from cardwatch.entrypoints.views import TransactionPageView, view_reasons, view_transaction
from cardwatch.runtime.aws.home import Home
from cardwatch.services.explain_transaction import NotExplained, explain_transaction
from cardwatch.services.label_transaction import label_transaction


def handle(event: Mapping[str, Any], _: Any, home: Home) -> dict[str, Any]:
    """Answer a request."""
    shown, answered = partial(look, home), partial(answer, home)
    routes = [
        Route("GET", "/transaction/{id}", partial(_get, home)),
        Route("GET", "/transaction/{id}/reasons", partial(_reasons, home)),
        Route("POST", "/transaction/{id}/label", partial(_label, home)),
        Route("GET", "/transactions", partial(_list, home)),
        Route("GET", "/answer/{token+}", shown),
        Route("HEAD", "/answer/{token+}", shown),
        Route("POST", "/answer/{token+}", answered),
        Route("GET", "/healthz", _health),
    ]
    return serve(event, home=home, routes=routes)


def _get(home: Home, _: ApiRequest, transaction_id: str) -> ApiResponse:
    return json_response(view_transaction(payment_found(home.store.transaction(transaction_id))))


def _reasons(home: Home, _: ApiRequest, transaction_id: str) -> ApiResponse:
    record = payment_found(home.store.transaction(transaction_id))
    from cardwatch.runtime.aws.judging import local_judges  # noqa: PLC0415  the model, where it is used

    explained = explain_transaction(record, judges=home.part(local_judges))
    if isinstance(explained, NotExplained):
        raise HttpProblem(409, explained.why)
    return json_response(view_reasons(explained))


def _list(home: Home, request: ApiRequest) -> ApiResponse:
    query = single_values(request.query, PAYMENTS_QUERY)
    page = home.store.transactions(
        user_id=query.get("user_id"),
        status=status_filter(query.get("status")),
        limit=page_limit(query.get("limit")),
        before=position_of(query.get("cursor")),
    )
    views = [view_transaction(record) for record in page.records]
    return json_response(TransactionPageView(views, cursor_of(page.next_before)))


def _label(home: Home, request: ApiRequest, transaction_id: str) -> ApiResponse:
    require_json(request.headers.get("content-type"))
    body = LABEL.read(request.read_body())
    labelled = label_transaction(
        transaction_id,
        value=body.label,
        source=LabelSource(body.source),
        note=body.note,
        replace=body.replace,
        store=home.store,
        now_ms=home.clock.now_ms(),
    )
    return json_response(view_transaction(labelled_record(labelled)))


def _health(_: ApiRequest) -> ApiResponse:
    return json_response({"status": "ok"})
