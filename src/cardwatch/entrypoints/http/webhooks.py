"""What Twilio (or the simulated phone, in the same form) posts to us; nothing is read before its signature is."""

import structlog
from litestar import Controller, Response, post
from litestar.datastructures import State

from cardwatch.domain.provider_post import Form
from cardwatch.entrypoints.http.bodies import AnyRequest
from cardwatch.entrypoints.http.problems import HttpProblem
from cardwatch.runtime.application import Application

EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""Says nothing back: answers leave through the outbox, so that they are sent once and kept."""

_FORM = "application/x-www-form-urlencoded"

_log = structlog.get_logger(__name__)


class TwilioWebhook(Controller):
    """Inbound texts and delivery reports."""

    path = "/webhook/twilio"

    @post("/", status_code=200)
    async def text(self, request: AnyRequest, state: State) -> Response[str]:
        """Handle a cardholder's text."""
        application: Application = state.application
        await receive_form(application, await _signed_form(request, application))
        return Response(EMPTY_TWIML, media_type="text/xml")

    @post("/status", status_code=204)
    async def status(self, request: AnyRequest, state: State) -> None:
        """Note what became of a text."""
        application: Application = state.application
        form = await _signed_form(request, application)
        message_id = request.query_params.get("message", "")
        report = application.provider.delivery_report(form, message_id=message_id)
        if report is not None:
            tracked = await application.track_delivery(report)
            _log.info("delivery_tracked", result=tracked.value, state=report.state.value)


async def _signed_form(request: AnyRequest, application: Application) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HttpProblem(415, f"send the body as Content-Type: {_FORM}")
    scope = request.scope
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    path_and_query = path.decode("latin-1").partition("?")[0] + (f"?{query.decode('latin-1')}" if query else "")
    signature = request.headers.get("x-twilio-signature")
    return read_signed_form(application, await request.body(), path_and_query=path_and_query, signature=signature)


def read_signed_form(application: Application, body: bytes, *, path_and_query: str, signature: str | None) -> Form:
    """Read a form that the provider posted; raises HttpProblem 400 or 403."""
    form = application.provider.read_form(body)
    if form is None:
        raise HttpProblem(400, "the body is not a form")
    if not application.provider.authentic(path_and_query=path_and_query, form=form, signature=signature):
        raise HttpProblem(403, "the signature is missing or wrong for the public URL of this server")
    return form


async def receive_form(application: Application, form: Form) -> None:
    """Handle the form of a cardholder's text."""
    text = application.provider.inbound_text(form)
    if text is None:
        raise HttpProblem(400, "MessageSid, From and To are needed")
    outcome = await application.receive_text(text)
    _log.info("reply_handled", result=outcome.result.value, transaction_id=outcome.transaction_id)
