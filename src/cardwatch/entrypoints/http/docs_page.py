"""The description of the API as one self-contained page, without script, made of the same document as /openapi.json."""

import html
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from cardwatch import __version__
from cardwatch.entrypoints.http.openapi import document

_FEW = 8
"""Values of a list that are named one by one; more are only counted."""

_RETURNED = ("View", "Body", "Fault")
"""How the types end that answers are made of."""


@cache
def page() -> str:
    """Return the page as HTML."""
    described = msgspec.json.decode(document())
    schemas: dict[str, Any] = described["components"]["schemas"]
    sections = [
        _operation(method, path, operation, schemas)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    ]
    shapes = [
        _shape(name, schema) for name, schema in sorted(schemas.items()) if name.endswith(("View", "Body", "Fault"))
    ]
    template = files(__package__).joinpath("docs.html").read_text("utf-8")
    return (
        template.replace("{version}", __version__)
        .replace("{routes}", "\n".join(sections))
        .replace("{shapes}", "\n".join(shapes))
    )


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    rows = [
        _row(parameter["name"], parameter["in"], parameter["schema"], parameter["description"], parameter["required"])
        for parameter in operation.get("parameters", ())
    ]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        rows += _fields(schemas.get(_name_of(content["schema"]), {}), "body")
    answers = "".join(
        f"<li><b>{status}</b> {html.escape(answer['description'])}{_link(answer)}</li>"
        for status, answer in operation["responses"].items()
    )
    table = f"<table>{''.join(rows)}</table>" if rows else ""
    return (
        f"<section><h2><code><b>{method.upper()}</b> {html.escape(path)}</code></h2>"
        f"<p>{html.escape(operation['summary'])}</p>{table}<ul>{answers}</ul></section>"
    )


def _shape(name: str, schema: dict[str, Any]) -> str:
    rows = "".join(_fields(schema, ""))
    return f'<section id="{name}"><h2><code>{name}</code></h2><table>{rows}</table></section>'


def _fields(schema: dict[str, Any], place: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        texts = [option.get("description", "") for option in (field, *field.get("anyOf", ()))]
        yield _row(name, place, field, next(filter(None, texts), ""), name in required)


def _row(name: str, place: str, schema: dict[str, Any], text: str, required: bool) -> str:
    cells = (
        f"<code>{html.escape(name)}</code>",
        place,
        _type(schema),
        "required" if required else "",
        html.escape(text),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _type(schema: dict[str, Any]) -> str:
    """Say a schema in a few words: "string, at most 64 characters"."""
    if "$ref" in schema:
        name = _name_of(schema)
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        kinds = [_type(option) for option in schema["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        values = schema["enum"]
        return html.escape(" | ".join(map(str, values))) if len(values) <= _FEW else f"one of {len(values)} codes"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return html.escape(", ".join([str(schema.get("type", "any")), *_limits(schema)]))


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    for key, words in (("maxLength", "at most {} characters"), ("minimum", "from {}"), ("maximum", "to {}")):
        if key in schema:
            yield words.format(schema[key])


def _link(answer: dict[str, Any]) -> str:
    for content in answer.get("content", {}).values():
        name = _name_of(content["schema"])
        if name:
            return f' <a href="#{name}">{name}</a>'
    return ""


def _name_of(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]
