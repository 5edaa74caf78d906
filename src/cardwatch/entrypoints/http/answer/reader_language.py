"""The language of somebody of whom nothing is known but what the browser says."""

import re

from cardwatch.domain.languages import DEFAULT_LANGUAGE, languages

_CHOICE = re.compile(r"\s*([a-z]{1,8})(?:-[a-z0-9-]{1,64})?\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?")
_CHOICES_MAX = 32


def reader_language(accept_language: str) -> str:
    """Return the shipped language that an Accept-Language header (RFC 9110, 12.5.4) likes best, else English.

    What cannot be read of it is passed over; of two that are liked as much, the first is taken.
    """
    best, best_weight = DEFAULT_LANGUAGE, 0.0
    for choice in accept_language.lower().split(",")[:_CHOICES_MAX]:
        found = _CHOICE.fullmatch(choice)
        if found is None or found[1] not in languages():
            continue
        weight = float(found[2] or 1)
        if weight > best_weight:
            best, best_weight = found[1], weight
    return best
