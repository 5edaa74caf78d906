"""The function of accounts: reading, writing, listing them, and ending a hold."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from cardwatch.entrypoints.api_terms import ACCOUNTS_QUERY, account_found, account_reader, page_limit
from cardwatch.entrypoints.aws.proxy import ApiRequest, ApiResponse, Route, json_response
from cardwatch.entrypoints.aws.serving import serve
from cardwatch.entrypoints.request_bodies import require_json, single_values
from cardwatch.entrypoints.views import AccountPageView, view_account
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.places import gazetteer_of
from cardwatch.services.put_account import put_account, release_account


def handle(event: Mapping[str, Any], _: Any, home: Home) -> dict[str, Any]:
    """Answer a request."""
    routes = [
        Route("GET", "/accounts", partial(_list, home)),
        Route("GET", "/accounts/{user_id}", partial(_get, home)),
        Route("PUT", "/accounts/{user_id}", partial(_put, home)),
        Route("DELETE", "/accounts/{user_id}/hold", partial(_release, home)),
    ]
    return serve(event, home=home, routes=routes)


def _list(home: Home, request: ApiRequest) -> ApiResponse:
    query = single_values(request.query, ACCOUNTS_QUERY)
    limit = page_limit(query.get("limit"))
    found = home.store.accounts(limit=limit + 1, after=query.get("cursor", ""))
    page = found[:limit]
    return json_response(
        AccountPageView(
            [view_account(account, home.store.opted_out_since) for account in page],
            page[-1].user_id if len(found) > limit else None,
        )
    )


def _get(home: Home, _: ApiRequest, user_id: str) -> ApiResponse:
    account = account_found(home.store.account(user_id))
    return json_response(view_account(account, home.store.opted_out_since))


def _put(home: Home, request: ApiRequest, user_id: str) -> ApiResponse:
    reader = account_reader(user_id)
    require_json(request.headers.get("content-type"))
    result = put_account(
        user_id,
        reader.read(request.read_body()),
        store=home.store,
        gazetteer=home.part(gazetteer_of),
        now_ms=home.clock.now_ms(),
    )
    view = view_account(result.account, home.store.opted_out_since)
    return json_response(view, status=201 if result.created else 200)


def _release(home: Home, _: ApiRequest, user_id: str) -> ApiResponse:
    account = account_found(release_account(user_id, store=home.store))
    return json_response(view_account(account, home.store.opted_out_since))
