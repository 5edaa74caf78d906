"""`/answer/{token}`: looking at the page of a link, as often as anybody likes, and answering from its form.

Whoever fetches the page changes nothing. An answer takes the form that the page carries and, for a YES about a known
card, its last four digits. No cookie, no redirect; the token is the whole right, and no log and no page repeats it.
"""

from typing import Final
from urllib.parse import parse_qsl

import structlog
from litestar import Controller, HttpMethod, Response, post, route
from litestar.datastructures import State

from cardwatch.domain.answer_link import LinkAction
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.link_question import PageLine
from cardwatch.entrypoints.http.answer.outcomes import INVALID, NOT_TAKEN, SAYINGS, UNAVAILABLE, Saying
from cardwatch.entrypoints.http.answer.page import (
    DIGITS_FIELD,
    FORM_FIELD,
    Form,
    bare_page,
    headers,
    outcome_page,
    question_page,
)
from cardwatch.entrypoints.http.answer.reader_language import reader_language
from cardwatch.entrypoints.http.bodies import AnyRequest
from cardwatch.entrypoints.http.problems import HttpProblem, handle_exception, problem_of
from cardwatch.runtime.application import Application
from cardwatch.services.answer_link import LinkPage, LinkResult

_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_FIELDS_MAX: Final = 16
_PATHS: Final = ["/", "/{token:path}"]
"""Any path is answered with a page: mail programs cut links and add to them, and people read the answer."""

_log = structlog.get_logger(__name__)


def handle_fault(request: AnyRequest, error: Exception) -> Response[bytes] | Response[str]:
    """Answer what went wrong behind the page with a page, what was wrong with the request as everywhere."""
    problem = problem_of(error)
    if problem.status < 500:
        answer = handle_exception(request, error)
        answer.headers.update(headers())
        return answer
    _log.error("answer_page_failed", error=type(error).__name__, exc_info=error)
    return _bare(request, Saying(PageLine.UNAVAILABLE, status=problem.status))


class AnswerPage(Controller):
    """The page behind a link."""

    path = "/answer"
    exception_handlers = {Exception: handle_fault}  # noqa: RUF012  the framework's own name for it

    @route(_PATHS, http_method=[HttpMethod.GET, HttpMethod.HEAD], sync_to_thread=False)
    def look(self, request: AnyRequest, state: State) -> Response[str]:
        """Show what the link is about; changes nothing."""
        application: Application = state.application
        token = _token(request)
        page = application.look_at_link(token)
        return _bare(request, INVALID) if page is None else _shown(request, token, page)

    @post(_PATHS, status_code=200)
    async def answer(self, request: AnyRequest, state: State) -> Response[str]:
        """Take the answer of the link's form."""
        application: Application = state.application
        token = _token(request)
        fields = await _fields(request)
        page = application.look_at_link(token)
        if page is None:
            return _bare(request, INVALID)
        if not fields.get(FORM_FIELD):
            return _shown(request, token, page, NOT_TAKEN)
        digits = "".join(fields.get(DIGITS_FIELD, "").split())
        try:
            result = await application.answer_link(token, form=fields[FORM_FIELD], digits=digits or None)
        except OperatingError as error:
            _log.error("link_not_answered", error=type(error).__name__)
            return _shown(request, token, page, UNAVAILABLE)
        _log.info("link_answered", result=result.value)
        if result is LinkResult.INVALID:  # the link holds, so it was the form that did not
            return _shown(request, token, page, NOT_TAKEN)
        if result is LinkResult.WRONG_DIGITS:
            return _shown(request, token, page, SAYINGS[result])
        return _outcome(page, SAYINGS[result])


def _token(request: AnyRequest) -> str:
    """Return what stands in the path; as text, because the framework would make a file's path of it."""
    path: str = request.scope["path"]
    return path.removeprefix(f"{AnswerPage.path}/")


async def _fields(request: AnyRequest) -> dict[str, str]:
    """Read the form: the first value of each name, nothing at all of what is no form; raises HttpProblem 413 or 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        raise HttpProblem(415, f"send the body as Content-Type: {_FORM_TYPE}")
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _beside(request: AnyRequest, token: str) -> str:
    """Return the way to another link's page from the one that was opened, whatever its address begins with.

    A proxy may serve it under a path that this server never sees, and a mail program may have doubled a slash.
    """
    asked: bytes = request.scope.get("raw_path") or b""
    return "../" * asked.partition(f"{AnswerPage.path}/".encode())[2].count(b"/") + token


def _shown(request: AnyRequest, token: str, page: LinkPage, saying: Saying | None = None) -> Response[str]:
    """Return the page with its form, while the link takes an answer; `saying` is what is said above it."""
    application: Application = request.app.state.application
    said = saying or (SAYINGS[page.notice] if page.notice else None)
    if not page.answerable:
        return _outcome(page, SAYINGS[page.notice] if page.notice else INVALID)
    deny = application.deny_token(token) if page.action is LinkAction.CONFIRM else None
    deny_href = None if deny is None else _beside(request, deny)
    form = Form(page.action, application.form_token(token), page.asks_digits, deny_href)
    text = question_page(page.subject, form, saying=said, language_code=page.language)
    return _response(text, said)


def _outcome(page: LinkPage, saying: Saying) -> Response[str]:
    return _response(outcome_page(page.subject, saying, language_code=page.language), saying)


def _bare(request: AnyRequest, saying: Saying) -> Response[str]:
    application: Application = request.app.state.application
    language = reader_language(request.headers.get("accept-language", ""))
    text = bare_page(saying, institution=application.settings.institution, language_code=language)
    return _response(text, saying)


def _response(text: str, saying: Saying | None) -> Response[str]:
    status = 200 if saying is None else saying.status
    retry = {"Retry-After": "5"} if status == UNAVAILABLE.status else {}
    return Response(text, status_code=status, media_type="text/html", headers={**headers(), **retry})
