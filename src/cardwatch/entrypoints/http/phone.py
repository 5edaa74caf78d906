"""The simulated phone: reading a conversation and typing into it. Absent as soon as a real provider is configured."""

from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from msgspec import Meta

from cardwatch.domain.account_submission import parse_phone_number
from cardwatch.domain.errors import InvalidInput
from cardwatch.domain.message import Message
from cardwatch.domain.times import format_instant
from cardwatch.entrypoints.http.bodies import AnyRequest, BodyReader, read_json
from cardwatch.entrypoints.http.webhooks import read_signed_form, receive_form
from cardwatch.runtime.application import Application

_SHOWN_MAX = 200


class Typed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /phone/{number}/messages`."""

    body: Annotated[str, Meta(min_length=1, max_length=1600)]


class TextView(msgspec.Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """A text on the simulated phone."""

    sid: str | None
    direction: str
    to: str
    sender: str
    body: str
    state: str
    challenge_id: str | None
    transaction_id: str | None
    kind: str
    sent_at: str | None


class ConversationView(msgspec.Struct, frozen=True):
    """All texts of a phone, oldest first."""

    messages: list[TextView]


_TYPED = BodyReader(Typed)


class Phone(Controller):
    """A phone that exists in this process only."""

    path = "/phone/{number:str}/messages"

    @get("/")
    async def conversation(self, number: FromPath[str], state: State) -> ConversationView:
        """Return the texts of a phone."""
        application: Application = state.application
        texts = application.conversation(_number(number), limit=_SHOWN_MAX)
        return ConversationView([_view(text) for text in texts])

    @post("/", status_code=201)
    async def type_text(self, number: FromPath[str], request: AnyRequest, state: State) -> ConversationView:
        """Type a text; it enters through the inbound route's own steps, signature and all."""
        phone = _number(number)
        typed = await read_json(request, _TYPED)
        application: Application = state.application
        posted = application.provider.typed_reply(phone, typed.body)
        form = read_signed_form(application, posted.body, path_and_query=posted.path, signature=posted.signature)
        await receive_form(application, form)
        return ConversationView([_view(text) for text in application.conversation(phone, limit=_SHOWN_MAX)])


def _number(text: str) -> str:
    try:
        return parse_phone_number(text)
    except ValueError as error:
        raise InvalidInput.at("", f"the number in the path {error}") from error


def _view(text: Message) -> TextView:
    outbound = text.direction.value == "outbound"
    return TextView(
        sid=text.provider_sid,
        direction=text.direction.value,
        to=text.address if outbound else text.own_address,
        sender=text.own_address if outbound else text.address,
        body=text.body,
        state=text.state.value,
        challenge_id=text.challenge_id,
        transaction_id=text.transaction_id,
        kind=text.kind.value,
        sent_at=format_instant(text.sent_at_ms or text.created_at_ms),
    )
