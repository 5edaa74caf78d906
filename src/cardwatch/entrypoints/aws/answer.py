"""`/answer/{token}` in the serverless home: the same pages as `entrypoints/http/answer`, over a home.

Looking changes nothing; only the form that the page carries answers. No log and no page repeats the token.
"""

from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

import msgspec
import structlog

from cardwatch.domain.answer_link import (
    AnswerLink,
    LinkAction,
    form_token,
    form_token_holds,
    read_link,
    sign_link,
)
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.link_question import PageLine
from cardwatch.entrypoints.aws.persisting import write_surely
from cardwatch.entrypoints.aws.proxy import ApiRequest, ApiResponse, problem_response
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
from cardwatch.entrypoints.problem_details import HttpProblem, problem_of
from cardwatch.runtime.aws.home import Home
from cardwatch.runtime.aws.speaking import sender_of
from cardwatch.runtime.settings import WrongSetting
from cardwatch.services.answer_link import LinkPage, LinkResult, answer_link, look_at_link
from cardwatch.services.reply_turn import Result

_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_FIELDS_MAX: Final = 16

Serving: TypeAlias = Callable[[Home, ApiRequest, str], ApiResponse]

_log = structlog.get_logger("cardwatch.answer")


def _as_page(serve: Serving) -> Serving:
    """Answer what goes wrong behind the page with a page, what is wrong with the request as everywhere."""

    def serve_page(home: Home, request: ApiRequest, token: str) -> ApiResponse:
        try:
            return serve(home, request, token)
        except Exception as error:  # noqa: BLE001  whoever opened the link reads a page, whatever happened
            problem = problem_of(error)
            if problem.status < 500:
                refused = problem_response(problem)
                return msgspec.structs.replace(refused, headers={**refused.headers, **headers()})
            _log.error("answer_page_failed", error=type(error).__name__, exc_info=error)
            return _bare(home, request, Saying(PageLine.UNAVAILABLE, status=problem.status))

    return serve_page


@_as_page
def look(home: Home, request: ApiRequest, token: str) -> ApiResponse:
    """Show what a link is about."""
    link = read_link(token, key=_key(home))
    page = None if link is None else _page_of(home, link)
    return _bare(home, request, INVALID) if link is None or page is None else _shown(home, token, link, page)


@_as_page
def answer(home: Home, request: ApiRequest, token: str) -> ApiResponse:
    """Take the answer of the link's form."""
    fields = _fields(request)
    link = read_link(token, key=_key(home))
    page = None if link is None else _page_of(home, link)
    if link is None or page is None:
        return _bare(home, request, INVALID)
    form = fields.get(FORM_FIELD)
    if not form or not form_token_holds(form, token, key=_key(home), now_ms=home.clock.now_ms()):
        return _shown(home, token, link, page, NOT_TAKEN)
    digits = "".join(fields.get(DIGITS_FIELD, "").split())
    try:
        result = _answered(home, link, digits or None)
    except OperatingError as error:
        _log.error("link_not_answered", error=type(error).__name__)
        return _shown(home, token, link, page, UNAVAILABLE)
    _log.info("link_answered", result=result.value)
    if result is LinkResult.INVALID:
        return _shown(home, token, link, page, NOT_TAKEN)
    if result is LinkResult.WRONG_DIGITS:
        return _shown(home, token, link, page, SAYINGS[result])
    return _outcome(page, SAYINGS[result])


def _answered(home: Home, link: AnswerLink, digits: str | None) -> Result | LinkResult:
    result = write_surely(
        lambda: answer_link(
            link,
            digits=digits,
            store=home.store,
            sender=home.part(sender_of),
            now_ms=home.clock.now_ms(),
            token=home.token(),
            change_window_ms=home.settings.change_window_s * 1000,
        )
    )
    home.metrics.count("replies_total", {"outcome": result.value})
    return result


def _key(home: Home) -> bytes:
    key = home.settings.link_key
    if key is None:
        raise WrongSetting("CARDWATCH_LINK_KEY is needed, in CARDWATCH_API_SECRET_ARN: links are signed with it")
    return key.encode()


def _page_of(home: Home, link: AnswerLink) -> LinkPage | None:
    return look_at_link(link, store=home.store, sender=home.part(sender_of), now_ms=home.clock.now_ms())


def _fields(request: ApiRequest) -> dict[str, str]:
    """Read the form: the first value of each name, nothing at all of what is no form; raises HttpProblem 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        raise HttpProblem(415, f"send the body as Content-Type: {_FORM_TYPE}")
    try:
        pairs = parse_qsl(request.read_body().decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _shown(home: Home, token: str, link: AnswerLink, page: LinkPage, saying: Saying | None = None) -> ApiResponse:
    """Return the page with its form, while the link takes an answer; `saying` is what is said above it."""
    said = saying or (SAYINGS[page.notice] if page.notice else None)
    if not page.answerable:
        return _outcome(page, SAYINGS[page.notice] if page.notice else INVALID)
    deny_href = None
    if page.action is LinkAction.CONFIRM:
        # Beside this page: the public URL may have a path of its own, the stage's.
        deny_href = sign_link(msgspec.structs.replace(link, action=LinkAction.DENY), key=_key(home))
    proof = form_token(token, key=_key(home), now_ms=home.clock.now_ms())
    form = Form(page.action, proof, page.asks_digits, deny_href)
    return _response(question_page(page.subject, form, saying=said, language_code=page.language), said)


def _outcome(page: LinkPage, saying: Saying) -> ApiResponse:
    return _response(outcome_page(page.subject, saying, language_code=page.language), saying)


def _bare(home: Home, request: ApiRequest, saying: Saying) -> ApiResponse:
    language = reader_language(request.headers.get("accept-language", ""))
    text = bare_page(saying, institution=home.settings.institution, language_code=language)
    return _response(text, saying)


def _response(text: str, saying: Saying | None) -> ApiResponse:
    status = 200 if saying is None else saying.status
    retry = {"Retry-After": "5"} if status == UNAVAILABLE.status else {}
    return ApiResponse(
        status=status, body=text.encode(), media_type="text/html; charset=utf-8", headers={**headers(), **retry}
    )
