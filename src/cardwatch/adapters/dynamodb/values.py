"""Items as plain Python: attribute names to text, whole numbers, bytes and lists of them; and DynamoDB's JSON of it.

boto3's own serializer would bring Decimal and Binary wrappers into every row, and costs more than the rest of a write.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from cardwatch.domain.errors import StoreCorrupt

Value: TypeAlias = str | int | bytes | list[str] | list[bytes]
Item: TypeAlias = dict[str, Value]


def to_wire(item: Mapping[str, Value]) -> dict[str, Any]:
    """Return an item as the low-level client takes it."""
    return {name: value_to_wire(value) for name, value in item.items()}


def value_to_wire(value: Value) -> dict[str, Any]:
    """Return a value under its type's letter."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, list):
        return {"L": [value_to_wire(part) for part in value]}
    return {"N": str(value)}


def from_wire(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """Return the item that the low-level client gave; raises StoreCorrupt for a type that is never written."""
    return {name: _value(value) for name, value in item.items()}


def _value(value: Mapping[str, Any]) -> Any:
    ((letter, content),) = value.items()
    match letter:
        case "S" | "B":
            return content
        case "N":
            return _number(content)
        case "L":
            return [_value(part) for part in content]
    raise StoreCorrupt(f"an item holds a value of type {letter}, which is never written")


def _number(content: str) -> int:
    try:
        return int(content)
    except ValueError as error:
        raise StoreCorrupt("an item holds a number that is not whole") from error


def text(item: Mapping[str, Value], name: str) -> str:
    """Return a text attribute; raises StoreCorrupt where it is missing or something else."""
    value = item.get(name)
    if not isinstance(value, str):
        raise StoreCorrupt(f"an item lacks its text {name}")
    return value


def number(item: Mapping[str, Value], name: str) -> int:
    """Return a number; raises StoreCorrupt where it is missing or something else."""
    value = item.get(name)
    if not isinstance(value, int):
        raise StoreCorrupt(f"an item lacks its number {name}")
    return value


def data(item: Mapping[str, Value], name: str) -> bytes:
    """Return an attribute's bytes; raises StoreCorrupt where it is missing or something else."""
    value = item.get(name)
    if not isinstance(value, bytes):
        raise StoreCorrupt(f"an item lacks its bytes {name}")
    return value


def texts(item: Mapping[str, Value], name: str) -> list[str]:
    """Return a list of texts, empty where there is none."""
    return [part for part in _parts(item, name) if isinstance(part, str)]


def datas(item: Mapping[str, Value], name: str) -> list[bytes]:
    """Return a list of byte strings, empty where there is none."""
    return [part for part in _parts(item, name) if isinstance(part, bytes)]


def _parts(item: Mapping[str, Value], name: str) -> list[Any]:
    value = item.get(name, [])
    if not isinstance(value, list):
        raise StoreCorrupt(f"an item lacks its list {name}")
    return value
