"""The routes of accounts."""

from litestar import Controller, Response, delete, get, put
from litestar.datastructures import State
from litestar.params import FromPath

from cardwatch.entrypoints.api_terms import ACCOUNTS_QUERY, account_found, account_reader, page_limit
from cardwatch.entrypoints.http.bodies import AnyRequest, read_json, read_query
from cardwatch.entrypoints.views import AccountPageView, AccountView, view_account
from cardwatch.runtime.application import Application


class Accounts(Controller):
    """Reading and writing accounts."""

    path = "/accounts"

    @get("/")
    async def accounts(self, request: AnyRequest, state: State) -> AccountPageView:
        """Return accounts in order of their ids."""
        query = read_query(request, ACCOUNTS_QUERY)
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
        account = account_found(application.account(user_id))
        return view_account(account, application.opted_out_since)

    @put("/{user_id:str}")
    async def put_account(self, user_id: FromPath[str], request: AnyRequest, state: State) -> Response[AccountView]:
        """Create (201) or replace (200) an account; a hold and an opt-out outlive a replacement."""
        submission = await read_json(request, account_reader(user_id))
        application: Application = state.application
        result = await application.put_account(user_id, submission)
        return Response(
            view_account(result.account, application.opted_out_since), status_code=201 if result.created else 200
        )

    @delete("/{user_id:str}/hold", status_code=200)
    async def release(self, user_id: FromPath[str], state: State) -> AccountView:
        """End the hold that a NO put on an account: its suspicious payments are asked about again."""
        application: Application = state.application
        account = account_found(await application.release_account(user_id))
        return view_account(account, application.opted_out_since)
