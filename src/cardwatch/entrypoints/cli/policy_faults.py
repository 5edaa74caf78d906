"""Every fault of a policy file, each with its place: the file's parts are checked one by one, then together."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from cardwatch.domain.errors import InvalidInput, Problem
from cardwatch.domain.policy import parse_policy

_LISTS = ("deny", "rules", "allow")
_PLACE = re.compile(r" - at (?:`key` in )?`\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]+)\]")


def find_faults(data: bytes) -> list[Problem]:
    """Return everything that is wrong with a policy, in the order of its parts; empty if it can be used."""
    whole = _faults(data)
    if not whole:
        return []
    try:
        policy = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return whole
    if not isinstance(policy, dict):
        return whole
    faults: list[Problem] = []
    usable: dict[str, Any] = {}
    for names, number, value in _parts(policy):
        found = _faults(msgspec.json.encode(_policy_of(names, number, value)))
        if found:
            faults += [_moved(fault, names, number) for fault in found]
        else:
            _put(usable, names, number, value)
    # What is wrong with no part alone: names given twice.
    together = [fault for fault in _faults(msgspec.json.encode(usable)) if fault not in faults]
    return [*faults, *together] or whole


def _parts(policy: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], int | None, Any]]:
    """Yield the parts that are checked alone: their names from the top, their place in a list, their value."""
    for name, value in policy.items():
        if name in _LISTS and isinstance(value, list):
            yield from (((name,), number, entry) for number, entry in enumerate(value))
        elif name == "asking" and isinstance(value, dict):
            for inner, rules in value.items():
                if inner == "escalations" and isinstance(rules, list):
                    yield from (((name, inner), number, entry) for number, entry in enumerate(rules))
                else:
                    yield (name, inner), None, rules
        else:
            yield (name,), None, value


def _policy_of(names: tuple[str, ...], number: int | None, value: Any) -> dict[str, Any]:
    policy: dict[str, Any] = {}
    _put(policy, names, number, value)
    return policy


def _put(policy: dict[str, Any], names: tuple[str, ...], number: int | None, value: Any) -> None:
    for name in names[:-1]:
        policy = policy.setdefault(name, {})
    if number is None:
        policy[names[-1]] = value
    else:
        policy.setdefault(names[-1], []).append(value)


def _moved(fault: Problem, names: tuple[str, ...], number: int | None) -> Problem:
    """Return a fault of a part with its place in the whole file."""
    alone = "".join(f"/{name}" for name in names) + "/0"
    if number is None or not (fault.pointer + "/").startswith(alone + "/"):
        return fault
    return Problem(f"{alone[:-1]}{number}{fault.pointer[len(alone) :]}", fault.detail)


def _faults(data: bytes) -> list[Problem]:
    try:
        parse_policy(data)
    except InvalidInput as error:
        return [_placed(problem) for problem in error.problems]
    return []


def _placed(problem: Problem) -> Problem:
    """Return a problem with its place as a pointer, also where the decoder names it at the end of its sentence."""
    detail = problem.detail.removeprefix("not a policy: ")
    place = _PLACE.search(detail)
    if problem.pointer or place is None:
        return Problem(problem.pointer, detail)
    pointer = "".join(f"/{name or number}" for name, number in _STEP.findall(place[1]))
    return Problem(pointer, detail[: place.start()])
