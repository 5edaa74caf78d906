"""Recognising full card numbers, so that none is ever stored, logged or sent.

A card number is 13-19 digits with single spaces or hyphens between them at most, no letter or digit next to it, a
valid Luhn check digit (ISO/IEC 7812-1 annex B) and the prefix and length of a known issuer. All four are asked for,
so that ordinary ids, telephone numbers and times pass. What plainly is something else (a UUID, a telephone number with
its "+", the fraction of a decimal) is none even where all four hold: one German mobile number in ten would.
"""

import re

_RUN = re.compile(r"(?<![^\W_])(?<!\d\.)\d(?:[ -]?\d){12,}(?![^\W_])")
_SEPARATOR = re.compile(r"[ -]")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_TELEPHONE_DIGITS_MAX = 15
"""ITU-T E.164."""

_DIGIT_COUNTS = range(13, 20)

_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = tuple(
    (low, high, frozenset(lengths))
    for low, high, lengths in (
        (4, 4, (13, 16, 19)),  # Visa
        (51, 55, (16,)),  # Mastercard
        (2221, 2720, (16,)),  # Mastercard, 2-series
        (34, 34, (15,)),  # American Express
        (37, 37, (15,)),
        (6011, 6011, range(16, 20)),  # Discover
        (644, 649, range(16, 20)),
        (65, 65, range(16, 20)),
        (300, 305, range(14, 20)),  # Diners Club
        (36, 36, range(14, 20)),
        (38, 39, range(14, 20)),
        (3528, 3589, range(16, 20)),  # JCB
        (62, 62, range(16, 20)),  # UnionPay
        (2200, 2204, range(16, 20)),  # Mir
        (50, 50, range(13, 20)),  # Maestro
        (56, 58, range(13, 20)),
        (60, 60, range(16, 20)),  # RuPay
        (81, 82, (16,)),
        (63, 63, range(13, 20)),  # Maestro
        (67, 67, range(13, 20)),
    )
)
"""(first prefix, last prefix, lengths): the issuers' published identification number ranges."""


def contains_card_number(text: str) -> bool:
    """Say whether a text contains a full card number."""
    if len(text) < _DIGIT_COUNTS.start:
        return False
    return any(_run_contains(run.group()) and not _something_else(text, run) for run in _RUN.finditer(text))


def _something_else(text: str, run: re.Match[str]) -> bool:
    """Say whether a run of digits stands within a UUID or is a telephone number with its "+"."""
    if text[: run.start()].endswith("+") and sum(map(str.isdigit, run.group())) <= _TELEPHONE_DIGITS_MAX:
        return True
    return any(uuid.start() <= run.start() and run.end() <= uuid.end() for uuid in _UUID.finditer(text))


def _run_contains(run: str) -> bool:
    """Look at every stretch of whole groups in a run of digits ("1234 4111 1111 1111 1111" holds one)."""
    groups = [_ascii_digits(group) for group in _SEPARATOR.split(run)]
    for first in range(len(groups)):
        digits = ""
        for group in groups[first:]:
            digits += group
            if len(digits) >= _DIGIT_COUNTS.stop:
                break
            if len(digits) in _DIGIT_COUNTS and _known_issuer(digits) and _luhn_valid(digits):
                return True
    return False


def _ascii_digits(group: str) -> str:
    return group if group.isascii() else "".join(str(int(character)) for character in group)


def _known_issuer(digits: str) -> bool:
    return any(
        len(digits) in lengths and low <= int(digits[: len(str(low))]) <= high for low, high, lengths in _ISSUERS
    )


def _luhn_valid(digits: str) -> bool:
    total = 0
    for position, character in enumerate(reversed(digits)):
        value = int(character) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
