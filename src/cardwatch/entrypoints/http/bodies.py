"""Reading request bodies: JSON of at most 64 KiB, every fault named at once."""

from typing import Any, TypeVar

import msgspec
from litestar import Request

from cardwatch.domain.bodies import body_problems
from cardwatch.domain.errors import InvalidInput
from cardwatch.entrypoints.http.problems import HttpProblem

BODY_BYTES_MAX = 64 * 1024

AnyRequest = Request[Any, Any, Any]
Body = TypeVar("Body", bound=msgspec.Struct)


def decode_body(raw: bytes, decoder: msgspec.json.Decoder[Body]) -> Body:
    """Decode a JSON body; raises HttpProblem 400 for what is not JSON, InvalidInput for what does not fit."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        kind: type[msgspec.Struct] = decoder.type
        problems = body_problems(_decode_any(raw), kind)
        raise InvalidInput(problems) if problems else InvalidInput.at("", "does not fit") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpProblem(400, "the body is not valid JSON in UTF-8") from error


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


async def read_json(request: AnyRequest, decoder: msgspec.json.Decoder[Body]) -> Body:
    """Read and decode the JSON body of a request."""
    require_json(request.headers.get("content-type"))
    return decode_body(await request.body(), decoder)


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
