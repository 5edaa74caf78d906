"""What a Litestar request carries; how it is read is that of every home (`entrypoints/request_bodies.py`)."""

from typing import Any, TypeVar

import msgspec
from litestar import Request

from cardwatch.entrypoints.request_bodies import BODY_BYTES_MAX, BodyReader, require_json, single_values

__all__ = ["BODY_BYTES_MAX", "AnyRequest", "BodyReader", "read_json", "read_query", "require_json"]

AnyRequest = Request[Any, Any, Any]
Body = TypeVar("Body", bound=msgspec.Struct)


async def read_json(request: AnyRequest, reader: BodyReader[Body]) -> Body:
    """Read the JSON body of a request."""
    require_json(request.headers.get("content-type"))
    return reader.read(await request.body())


def read_query(request: AnyRequest, allowed: tuple[str, ...]) -> dict[str, str]:
    """Read query parameters, refusing what is unknown or given twice: a filter must never be dropped in silence."""
    return single_values(request.query_params.multi_items(), allowed)
