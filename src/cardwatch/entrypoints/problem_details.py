"""Errors as RFC 9457 problem details, with a stable `type` for each kind; the same words in every home."""

from collections.abc import Mapping, Sequence

import msgspec

from cardwatch.domain.errors import InvalidInput, OperatingError, Problem

MEDIA_TYPE = "application/problem+json"

_TYPE_BASE = "urn:cardwatch:problem:"

TITLES: dict[int, tuple[str, str]] = {
    400: ("malformed", "The request cannot be read"),
    401: ("unauthenticated", "An API key is needed"),
    403: ("forbidden", "Not allowed"),
    404: ("not-found", "There is no such thing"),
    405: ("method-not-allowed", "This method is not allowed here"),
    409: ("conflict", "The request conflicts with what is stored"),
    413: ("too-large", "The body is too large"),
    415: ("unsupported-media-type", "The body must be JSON"),
    422: ("invalid", "The request has faults"),
    429: ("too-many-requests", "Too many requests"),
    500: ("internal", "Something broke on our side"),
    503: ("unavailable", "The store cannot take this now"),
}


class Fault(msgspec.Struct, frozen=True):
    """One fault of a request: a JSON pointer (RFC 6901) and what would do."""

    pointer: str
    detail: str


class ProblemBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] | None = None


class HttpProblem(Exception):
    """An answer of a status of 400 or above."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


def problem_of(error: Exception) -> HttpProblem:
    """Turn any exception into the answer that a client can act on; what is unexpected tells nothing of its inside."""
    if isinstance(error, HttpProblem):
        return error
    if isinstance(error, InvalidInput):
        count = len(error.problems)
        return HttpProblem(
            422, "one field is wrong" if count == 1 else f"{count} things are wrong", errors=error.problems
        )
    if isinstance(error, OperatingError) and error.retryable:
        return HttpProblem(503, "the store cannot take this now; nothing was written", headers={"Retry-After": "1"})
    return HttpProblem(500, "the request failed on our side; quote the X-Request-Id when you report it")


def problem_body(problem: HttpProblem) -> bytes:
    """Encode a problem."""
    slug, title = TITLES[problem.status]
    errors = [Fault(fault.pointer, fault.detail) for fault in problem.errors] or None
    return msgspec.json.encode(ProblemBody(_TYPE_BASE + slug, title, problem.status, problem.detail, errors))
