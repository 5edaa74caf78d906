"""Problem details as Litestar answers them; what they say is that of every home (`entrypoints/problem_details.py`)."""

import re
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from cardwatch.entrypoints import problem_details
from cardwatch.entrypoints.problem_details import MEDIA_TYPE, TITLES, Fault, HttpProblem, ProblemBody, problem_body

__all__ = [
    "MEDIA_TYPE",
    "TITLES",
    "Fault",
    "HttpProblem",
    "ProblemBody",
    "handle_exception",
    "problem_body",
    "problem_of",
]


def problem_of(error: Exception) -> HttpProblem:
    """Turn any exception into the answer that a client can act on, the framework's own errors too."""
    if isinstance(error, HTTPException) and error.status_code in TITLES:
        return HttpProblem(error.status_code, TITLES[error.status_code][1], headers=_headers(error))
    return problem_details.problem_of(error)


def _headers(error: HTTPException) -> dict[str, str]:
    """Return the headers of a framework's error; OPTIONS is answered by nobody, so `Allow` must not name it."""
    headers = dict(error.headers or {})
    methods = headers.pop("allow", "")
    if methods:
        headers["Allow"] = ", ".join(sorted(set(re.split(r",\s*", methods)) - {"OPTIONS"}))
    return headers


def handle_exception(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer an exception of a Litestar route."""
    problem = problem_of(error)
    return Response(problem_body(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=problem.headers)
