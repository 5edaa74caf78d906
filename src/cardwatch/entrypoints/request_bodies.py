"""Reading what a request carries, in every home: JSON of at most 64 KiB, every fault named at once; its query."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from cardwatch.domain.bodies import every_problem
from cardwatch.domain.errors import InvalidInput
from cardwatch.entrypoints.problem_details import HttpProblem

BODY_BYTES_MAX = 64 * 1024

TOO_LARGE = f"the body may have at most {BODY_BYTES_MAX} bytes"

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


def single_values(pairs: Iterable[tuple[str, str]], allowed: tuple[str, ...]) -> dict[str, str]:
    """Return query parameters by name, refusing what is unknown or given twice: no filter is dropped in silence."""
    query: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            raise InvalidInput.at("", f"the query may hold {', '.join(allowed)} only")
        if name in query:
            raise InvalidInput.at(f"/{name}", "is given twice")
        query[name] = value
    return query
