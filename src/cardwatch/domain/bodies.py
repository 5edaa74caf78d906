"""What the bodies of all requests share: the types of common fields, and naming every fault of a body at once."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from cardwatch.domain.card_number import contains_card_number
from cardwatch.domain.errors import InvalidInput, Problem

NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
ID = r"^[A-Za-z0-9][A-Za-z0-9_.:@-]*\Z"
"""Both end in \\Z, because "$" lets one final line break pass."""

Identifier = Annotated[str, Meta(min_length=1, max_length=64, pattern=ID)]
ShortText = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROL)]
Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_CONTROL)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Country = Annotated[str, Meta(min_length=2, max_length=2, pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
Currency = Annotated[str, Meta(min_length=3, max_length=3, pattern="^[A-Z]{3}$", description="ISO 4217")]

CARD_NUMBER_REFUSED = "holds a full card number; send a token or the last four digits"

_KINDS = {
    "str": "a string",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "decimal": "a decimal number",
}

Body = TypeVar("Body", bound=msgspec.Struct)


def pointer(*parts: str) -> str:
    """Build the RFC 6901 pointer to a place in a document."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def body_problems(body: Any, kind: type[msgspec.Struct]) -> list[Problem]:
    """Name every fault that the types of `kind` find in a decoded body, where a decoder stops at the first.

    Values are never repeated in the answer: they may hold what must not be logged.
    """
    if not isinstance(body, dict):
        return [Problem("", "must be a JSON object")]
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems = [
        Problem(pointer(name), "is not a field of this request")
        if not contains_card_number(name)
        else Problem("", f"a field's name {CARD_NUMBER_REFUSED}")
        for name in body
        if name not in fields
    ]
    for name, field in fields.items():
        if name not in body:
            if field.required:
                problems.append(Problem(pointer(name), "is required"))
            continue
        problems.extend(_field_problems(name, body[name], field.type))
    return problems


def every_problem(
    body: Any, kind: type[Body], *, check: Callable[[Body], None], fill: Mapping[str, Any]
) -> list[Problem]:
    """Name what the types find and, of the fields that they find right, what `check` finds.

    `fill` stands in for required fields that are missing or wrong; nothing is said about it.
    """
    problems = body_problems(body, kind)
    if not isinstance(body, dict):
        return problems
    wrong = {problem.pointer.split("/")[1] for problem in problems if problem.pointer}
    right = {name: body[name] for name in kind.__struct_fields__ if name in body and name not in wrong}
    whole = {**fill, **right}
    if any(field.required and field.name not in whole for field in msgspec.structs.fields(kind)):
        return problems
    try:
        check(msgspec.convert(whole, kind))
    except InvalidInput as error:
        problems += [problem for problem in error.problems if problem.pointer.split("/")[1] in right]
    return problems


def _field_problems(name: str, value: Any, kind: Any) -> Iterator[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        detail, _, path = str(error).partition(" - at `$")
        place = pointer(name) + _path_pointer(path.rstrip("`"))
        _, found, unknown = detail.rstrip("`").partition("Object contains unknown field `")
        if not found:
            yield Problem(place, _plain(detail))
        elif contains_card_number(unknown):
            yield Problem(place, f"a field's name {CARD_NUMBER_REFUSED}")
        else:
            yield Problem(place + pointer(unknown), "is not a field of this request")
    if isinstance(value, str) and contains_card_number(value):
        yield Problem(pointer(name), CARD_NUMBER_REFUSED)


def _path_pointer(path: str) -> str:
    """Turn the inner part of a msgspec path (".home.latitude", "[2]") into a pointer; keys stay unnamed."""
    parts = [part for part in path.replace("[", ".").replace("]", "").split(".") if part]
    return pointer(*[part for part in parts if part != "..."])


def _plain(detail: str) -> str:
    """Make a sentence of a decoder's message: "must be a string of length >= 1, not a whole number"."""
    if detail.startswith("Invalid enum value"):
        return "is not one of the values that this field may have"
    if detail == "Invalid decimal string":
        return 'must be a number such as 12.50 or "12.50"'
    wanted, got, actual = detail.removeprefix("Expected ").replace("`", "").partition(", got ")
    if not detail.startswith("Expected "):
        return detail[:1].lower() + detail[1:]
    return f"must be {_named(wanted)}" + (f", not {_named(actual)}" if got else "")


def _named(kind: str) -> str:
    """Say a JSON type in words; patterns stay as they are."""
    head, matching, regex = kind.partition(" matching regex ")
    words = re.sub(r"\b(str|float|int|bool|object|array|decimal)\b", lambda found: _KINDS[found.group()], head)
    return words.replace(" | ", " or ") + (f" matching the pattern {regex}" if matching else "")
