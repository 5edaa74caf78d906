"""The function that Twilio posts to: texts that came in, and what became of those that went out.

Nothing is read before its signature is. It is checked against CARDWATCH_PUBLIC_URL, the path, and each way in which
the query may have been written (see `proxy`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog

from cardwatch.domain.provider_post import Form
from cardwatch.entrypoints.aws.persisting import write_surely
from cardwatch.entrypoints.aws.proxy import ApiRequest, ApiResponse, Route
from cardwatch.entrypoints.aws.serving import serve
from cardwatch.entrypoints.problem_details import HttpProblem
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.inbound import provider_of
from cardwatch.runtime.aws.speaking import sender_of
from cardwatch.services.handle_reply import handle_reply
from cardwatch.services.track_delivery import track_delivery

EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""Says nothing back: answers leave through the outbox, so that they are sent once and kept."""

_FORM = "application/x-www-form-urlencoded"

_log = structlog.get_logger("cardwatch.webhook")


def handle(event: Mapping[str, Any], _: Any, home: Home) -> dict[str, Any]:
    """Answer a post."""
    routes = [
        Route("POST", "/webhook/twilio", partial(_text, home)),
        Route("POST", "/webhook/twilio/status", partial(_status, home)),
    ]
    return serve(event, home=home, routes=routes)


def _text(home: Home, request: ApiRequest) -> ApiResponse:
    text = home.part(provider_of).inbound_text(_signed_form(home, request))
    if text is None:
        raise HttpProblem(400, "MessageSid, From and To are needed")
    outcome = write_surely(
        lambda: handle_reply(
            text,
            store=home.store,
            sender=home.part(sender_of),
            now_ms=home.clock.now_ms(),
            token=home.token(),
            change_window_ms=home.settings.change_window_s * 1000,
        )
    )
    home.metrics.count("replies_total", {"outcome": outcome.result.value})
    _log.info("reply_handled", result=outcome.result.value, transaction_id=outcome.transaction_id)
    return ApiResponse(body=EMPTY_TWIML, media_type="text/xml; charset=utf-8")


def _status(home: Home, request: ApiRequest) -> ApiResponse:
    form = _signed_form(home, request)
    message_id = dict(reversed(request.query)).get("message", "")
    report = home.part(provider_of).delivery_report(form, message_id=message_id)
    if report is not None:
        tracked = write_surely(
            lambda: track_delivery(
                report,
                store=home.store,
                sender=home.part(sender_of),
                now_ms=home.clock.now_ms(),
                token=home.token(),
            )
        )
        _log.info("delivery_tracked", result=tracked.value, state=report.state.value)
    return ApiResponse(status=204)


def _signed_form(home: Home, request: ApiRequest) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HttpProblem(415, f"send the body as Content-Type: {_FORM}")
    provider = home.part(provider_of)
    form = provider.read_form(request.read_body())
    if form is None:
        raise HttpProblem(400, "the body is not a form")
    signature = request.headers.get("x-twilio-signature")
    held = [
        provider.authentic(path_and_query=request.path + query, form=form, signature=signature)
        for query in request.written_queries()
    ]
    if not any(held):
        raise HttpProblem(403, "the signature is missing or wrong for the public URL of this server")
    return form
