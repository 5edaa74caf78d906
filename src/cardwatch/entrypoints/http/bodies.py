"""Reading request bodies: JSON of at most 64 KiB, every fault named at once."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Request

from cardwatch.domain.bodies import every_problem
from cardwatch.domain.errors import InvalidInput
from cardwatch.entrypoints.http.problems import HttpProblem

BODY_BYTES_MAX = 64 * 1024

AnyRequest = Request[Any, Any, Any]
Body = TypeVar("Body", bound=msgspec.Struct)


class BodyReader(Generic[Body]):
    """Decodes and checks one kind of body, and names every fault of it at once."""

    def __init__(
        self, kind: type[Body], *, check: Callable[[Body], None] = lambda _: None, fill: Mapping[str, Any] | None = None
    ) -> None:
        """`check` raises InvalidInput for what types cannot say; `fill` is a value of each required field."""
        self._kind = kind
        self._decode = msgspec.json.Decoder(kind).decode
        self._check = check
        self._fill = fill or {}

    def read(self, raw: bytes) -> Body:
        """Read a body; raises HttpProblem 400 for what is not JSON, InvalidInput for what does not fit."""
        try:
            body = self._decode(raw)
        except msgspec.ValidationError as error:
            problems = every_problem(_decode_any(raw), self._kind, check=self._check, fill=self._fill)
            raise InvalidInput(problems) if problems else InvalidInput.at("", "does not fit") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HttpProblem(400, "the body is not valid JSON in UTF-8") from error
        self._check(body)
        return body


def _decode_any(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpProblem(400, "the body is not valid JSON in UTF-8") from error


def require_json(content_type: str | None) -> None:
    """Refuse a body that does not say it is JSON; browsers then ask before they send one from elsewhere."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HttpProblem(415, "send the body as Content-Type: application/json")


async def read_json(request: AnyRequest, reader: BodyReader[Body]) -> Body:
    """Read the JSON body of a request."""
    require_json(request.headers.get("content-type"))
    return reader.read(await request.body())


def read_query(request: AnyRequest, allowed: tuple[str, ...]) -> dict[str, str]:
    """Read query parameters, refusing what is unknown or given twice: a filter must never be dropped in silence."""
    query: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            raise InvalidInput.at("", f"the query may hold {', '.join(allowed)} only")
        if name in query:
            raise InvalidInput.at(f"/{name}", "is given twice")
        query[name] = value
    return query
