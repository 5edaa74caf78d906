"""The description of the API (OpenAPI 3.1), built from one table of routes and the types that the routes decode with.

Written here and not by the framework because the framework describes its own errors, and the hot route is not its.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from cardwatch import __version__
from cardwatch.domain.account_submission import AccountSubmission
from cardwatch.domain.bodies import ID
from cardwatch.domain.submission import Submission
from cardwatch.domain.transaction import Status
from cardwatch.entrypoints.api_terms import CURSOR, LIMIT_DEFAULT, LIMIT_MAX, LabelSubmission
from cardwatch.entrypoints.http.openapi_refinements import refine
from cardwatch.entrypoints.http.problems import MEDIA_TYPE, ProblemBody
from cardwatch.entrypoints.views import AccountPageView, AccountView, ReasonsView, TransactionPageView, TransactionView

_JSON = "application/json"
_PROBLEMS: dict[int, str] = {
    400: "The body is not JSON",
    401: "An API key is needed",
    403: "The API key is not known, or the signature is wrong",
    404: "There is no such thing",
    409: "Conflicts with what is stored",
    413: "The body has more than 64 KiB",
    415: "The Content-Type is another than the one asked for",
    422: "Faults, each with its JSON pointer",
    503: "The store cannot take this now; see Retry-After",
}


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of the path, the query or the headers."""

    name: str
    place: str
    text: str
    schema: dict[str, Any]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation."""

    method: str
    path: str
    tag: str
    summary: str
    answers: dict[int, tuple[str, Any]]
    """Text and type of each success."""
    problems: tuple[int, ...] = ()
    body: Any = None
    body_media_type: str = _JSON
    parameters: tuple[Parameter, ...] = ()
    keyless: bool = False


_ID = {"type": "string", "minLength": 1}
_TRANSACTION_ID = Parameter("transaction_id", "path", "The payment", _ID)
_USER_ID = Parameter("user_id", "path", "The account", {**_ID, "maxLength": 64, "pattern": ID.replace(r"\Z", "$")})
_LIMIT = Parameter(
    "limit", "query", "Size of the page",
    {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
)  # fmt: skip
_CURSOR = Parameter("cursor", "query", "next_cursor of the page before", {"type": "string", "pattern": f"^{CURSOR}$"})
_AFTER = Parameter("cursor", "query", "next_cursor of the page before", {"type": "string"})
_PREFER = Parameter(
    "Prefer", "header", "respond-async answers 202 at once; wait=N waits N seconds for the decision (RFC 7240)",
    {"type": "string"},
)  # fmt: skip

ROUTES: tuple[Route, ...] = (
    Route(
        method="post", path="/transaction", tag="transactions",
        summary="Take a payment in and decide it",
        body=Submission, parameters=(_PREFER,),
        answers={
            201: ("Decided", TransactionView),
            202: ("Recorded, still pending", TransactionView),
            200: ("The same again: the stored result", TransactionView),
        },
        problems=(400, 409, 413, 415, 422, 503),
    ),
    Route(
        method="get", path="/transaction/{transaction_id}", tag="transactions", summary="Return a payment",
        parameters=(_TRANSACTION_ID,), answers={200: ("The payment", TransactionView)}, problems=(404,),
    ),
    Route(
        method="get", path="/transaction/{transaction_id}/reasons", tag="transactions",
        summary="Explain a payment's score, whatever was decided, from the vector that the model saw",
        parameters=(_TRANSACTION_ID,), answers={200: ("What every feature did", ReasonsView)}, problems=(404, 409, 503),
    ),
    Route(
        method="get", path="/transactions", tag="transactions", summary="List payments, newest first",
        parameters=(
            Parameter("user_id", "query", "Only of this account", {"type": "string"}),
            Parameter("status", "query", "Only in this status", {"type": "string", "enum": [s.value for s in Status]}),
            _LIMIT, _CURSOR,
        ),
        answers={200: ("A page", TransactionPageView)}, problems=(422,),
    ),
    Route(
        method="post", path="/transaction/{transaction_id}/label", tag="transactions",
        summary="Say what a payment turned out to be; an analyst's label moves it out of review",
        parameters=(_TRANSACTION_ID,), body=LabelSubmission,
        answers={200: ("The payment", TransactionView)}, problems=(400, 404, 409, 413, 415, 422, 503),
    ),
    Route(
        method="get", path="/accounts", tag="accounts", summary="List accounts in order of their ids",
        parameters=(_LIMIT, _AFTER), answers={200: ("A page", AccountPageView)}, problems=(422,),
    ),
    Route(
        method="get", path="/accounts/{user_id}", tag="accounts", summary="Return an account",
        parameters=(_USER_ID,), answers={200: ("The account", AccountView)}, problems=(404,),
    ),
    Route(
        method="put", path="/accounts/{user_id}", tag="accounts", summary="Create or replace an account",
        parameters=(_USER_ID,), body=AccountSubmission,
        answers={200: ("Replaced", AccountView), 201: ("Created", AccountView)},
        problems=(400, 413, 415, 422, 503),
    ),
    Route(
        method="delete", path="/accounts/{user_id}/hold", tag="accounts",
        summary="End the hold that a NO put on an account",
        parameters=(_USER_ID,), answers={200: ("The account", AccountView)}, problems=(404, 503),
    ),
    Route(
        method="post", path="/webhook/twilio", tag="webhooks", summary="A text from a cardholder, signed by Twilio",
        body_media_type="application/x-www-form-urlencoded", body=dict[str, str], keyless=True,
        answers={200: ("TwiML; empty, answers go out as texts of their own", None)}, problems=(400, 403, 413, 415, 503),
    ),
    Route(
        method="post", path="/webhook/twilio/status", tag="webhooks", summary="What became of a text, signed by Twilio",
        body_media_type="application/x-www-form-urlencoded", body=dict[str, str], keyless=True,
        answers={204: ("Noted", None)}, problems=(400, 403, 413, 415, 503),
    ),
    Route(
        method="get", path="/healthz", tag="operations", summary="The process is alive", keyless=True,
        answers={200: ("Alive", dict[str, str])},
    ),
    Route(
        method="get", path="/readyz", tag="operations", summary="Model, features and store are warm",
        answers={200: ("Ready", dict[str, str])}, problems=(503,),
    ),
)  # fmt: skip


@cache
def document() -> bytes:
    """Build the OpenAPI document as JSON."""
    types = [ProblemBody]
    for route in ROUTES:
        types += [kind for _, kind in route.answers.values() if kind is not None]
        types += [route.body] if route.body is not None else []
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = {repr(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route, schema_of)
    refine(components)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Cardwatch",
                "version": __version__,
                "summary": "Real-time payment-fraud detection that asks the cardholder",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "security": [{"api_key": []}, {}],
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {"api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            },
        }
    )


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method}{route.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "tags": [route.tag],
        "summary": route.summary,
        "responses": dict(_responses(route, schema_of)),
    }
    if route.parameters:
        operation["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.place,
                "required": parameter.place == "path",
                "description": parameter.text,
                "schema": parameter.schema,
            }
            for parameter in route.parameters
        ]
    if route.body is not None:
        content = {route.body_media_type: {"schema": schema_of[repr(route.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.keyless:
        operation["security"] = []
    return operation


def _responses(route: Route, schema_of: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, (text, kind) in route.answers.items():
        content = {_JSON: {"schema": schema_of[repr(kind)]}} if kind is not None else None
        yield str(status), {"description": text, **({"content": content} if content else {})}
    problems = route.problems if route.keyless else (*route.problems, 401, 403)
    for status in sorted(set(problems)):
        content = {MEDIA_TYPE: {"schema": schema_of[repr(ProblemBody)]}}
        yield str(status), {"description": _PROBLEMS[status], "content": content}
