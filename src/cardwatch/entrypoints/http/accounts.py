"""The routes of accounts."""

import re
from functools import partial

from litestar import Controller, Response, delete, get, put
from litestar.datastructures import State
from litestar.params import FromPath

from cardwatch.domain.account_submission import AccountSubmission, check_account_submission
from cardwatch.domain.bodies import CARD_NUMBER_REFUSED, ID
from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.errors import InvalidInput
from cardwatch.entrypoints.http.bodies import AnyRequest, BodyReader, read_json, read_query
from cardwatch.entrypoints.http.problems import HttpProblem
from cardwatch.entrypoints.http.transactions import page_limit
from cardwatch.entrypoints.views import AccountPageView, AccountView, view_account
from cardwatch.runtime.application import Application

USER_ID_LENGTH_MAX = 64


class Accounts(Controller):
    """Reading and writing accounts."""

    path = "/accounts"

    @get("/")
    async def accounts(self, request: AnyRequest, state: State) -> AccountPageView:
        """Return accounts in order of their ids."""
        query = read_query(request, ("limit", "cursor"))
        application: Application = state.application
        limit = page_limit(query.get("limit"))
        found = application.accounts(limit=limit + 1, after=query.get("cursor", ""))
        page = found[:limit]
        return AccountPageView(
            [view_account(account, application.opted_out_since) for account in page],
            page[-1].user_id if len(found) > limit else None,
        )

    @get("/{user_id:str}")
    async def account(self, user_id: FromPath[str], state: State) -> AccountView:
        """Return an account."""
        application: Application = state.application
        account = application.account(user_id)
        if account is None:
            raise HttpProblem(404, "there is no account with this id")
        return view_account(account, application.opted_out_since)

    @put("/{user_id:str}")
    async def put_account(self, user_id: FromPath[str], request: AnyRequest, state: State) -> Response[AccountView]:
        """Create (201) or replace (200) an account; a hold and an opt-out outlive a replacement."""
        if len(user_id) > USER_ID_LENGTH_MAX or not re.fullmatch(ID.rstrip("$"), user_id):
            raise InvalidInput.at("", "the user_id in the path must be 1 to 64 letters, digits or any of _ . : @ -")
        if contains_card_number(user_id):
            raise InvalidInput.at("", f"the user_id in the path {CARD_NUMBER_REFUSED}")
        check = partial(check_account_submission, user_id=user_id)
        submission = await read_json(request, BodyReader(AccountSubmission, check=check))
        application: Application = state.application
        result = await application.put_account(user_id, submission)
        return Response(
            view_account(result.account, application.opted_out_since), status_code=201 if result.created else 200
        )

    @delete("/{user_id:str}/hold", status_code=200)
    async def release(self, user_id: FromPath[str], state: State) -> AccountView:
        """End the hold that a NO put on an account: its suspicious payments are asked about again."""
        application: Application = state.application
        account = await application.release_account(user_id)
        if account is None:
            raise HttpProblem(404, "there is no account with this id")
        return view_account(account, application.opted_out_since)
