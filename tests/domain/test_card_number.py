"""Full card numbers are recognised however they are written; ordinary ids are not taken for one."""

import random
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.card_number import contains_card_number

ISSUERS = {
    "visa 13": ("4", 13),
    "visa": ("4", 16),
    "visa 19": ("4", 19),
    "mastercard": ("53", 16),
    "mastercard 2-series": ("2404", 16),
    "american express": ("37", 15),
    "discover": ("6011", 16),
    "discover 65": ("65", 16),
    "diners club": ("36", 14),
    "jcb": ("3535", 16),
    "unionpay 16": ("62", 16),
    "unionpay 19": ("62", 19),
    "mir": ("2202", 16),
    "maestro": ("6759", 16),
    "maestro 12+7": ("5018", 19),
    "rupay": ("60", 16),
}

BORDERS = ["", " ", "-", "(", ")", ".", ",", ":", "/", "#", "_", "\n", "\u00a7"]


def luhn_completed(digits: str) -> str:
    """Append the check digit (independent of the code under test: by the definition of ISO/IEC 7812-1)."""
    doubled = [int(d) * 2 if place % 2 == 0 else int(d) for place, d in enumerate(reversed(digits))]
    total = sum(value // 10 + value % 10 for value in doubled)
    return digits + str(-total % 10)


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    """Draw a valid number of a known issuer."""
    prefix, length = draw(st.sampled_from(sorted(ISSUERS.values())))
    rest = draw(st.text("0123456789", min_size=length - len(prefix) - 1, max_size=length - len(prefix) - 1))
    return luhn_completed(prefix + rest)


@given(card_numbers(), st.sampled_from(["", " ", "-"]), st.integers(1, 6), st.sampled_from(BORDERS))
def test_number_is_found_in_any_writing(number: str, separator: str, group: int, border: str) -> None:
    """Groups of any size with single separators, in the middle of a text, are found."""
    written = separator.join(re.findall(f".{{1,{group}}}", number))
    assert contains_card_number(written)
    assert contains_card_number(f"Paid with{border or ' '}{written}{border or ' '}today")


@given(card_numbers(), st.sampled_from([0xFEE0, 0x660 - 0x30, 0x966 - 0x30]))
def test_number_is_found_in_any_script(number: str, shift: int) -> None:
    """Fullwidth, Arabic-Indic and Devanagari digits are digits."""
    assert contains_card_number("".join(chr(ord(digit) + shift) for digit in number))


@given(card_numbers(), st.integers(0, 18), st.integers(1, 9))
def test_mistyped_number_is_none(number: str, place: int, more: int) -> None:
    """One wrong digit fails the check digit, if the number does not hold another."""
    place %= len(number)
    wrong = number[:place] + str((int(number[place]) + more) % 10) + number[place + 1 :]
    assert not contains_card_number(wrong)


@given(card_numbers(), st.sampled_from(["a", "Z", "é", "7", "٣"]))
def test_number_next_to_a_letter_or_digit_is_none(number: str, neighbour: str) -> None:
    """A token or a longer id that happens to hold a valid number passes."""
    assert not contains_card_number(f"x{neighbour}{number}{neighbour}x")


@pytest.mark.parametrize("separator", ["  ", "--", " - ", ".", "/", "\t", "\n", ":"])
def test_only_single_spaces_and_hyphens_separate(separator: str) -> None:
    """What people write between the groups of a card number is one space or one hyphen."""
    assert not contains_card_number(separator.join(["4111", "1111", "1111", "1111"]))


@pytest.mark.parametrize(
    "text",
    ["Order 17 4111 1111 1111 1111", "4111 1111 1111 1111 12/27", "0.5 4111111111111111", "x-4111111111111111-y"],
)
def test_number_among_other_digits_is_found(text: str) -> None:
    """Digits in other groups around it do not hide a number."""
    assert contains_card_number(text)


def test_number_is_found_after_a_uuid() -> None:
    """A UUID that ends in digits does not swallow the number behind it."""
    assert contains_card_number("0189f7ea-ae2c-7dcf-8b1a-112233445566 4111 1111 1111 1111")


_RANDOM = random.Random(2026)


def _uuid4() -> str:
    return str(uuid.UUID(int=_RANDOM.getrandbits(128), version=4))


def _instant() -> datetime:
    return datetime.fromtimestamp(_RANDOM.randrange(2_000_000_000), UTC)


ORDINARY: dict[str, Callable[[], str]] = {
    "uuid": _uuid4,
    "uuid in words": lambda: f"order {_uuid4()} of 12",
    "hexadecimal": lambda: f"{_RANDOM.getrandbits(96):024x}",
    "txn id": lambda: f"txn_{_RANDOM.getrandbits(128):032x}",
    "german mobile number": lambda: f"+491{_RANDOM.randrange(50, 80)}{_RANDOM.randrange(10**8):08d}",
    "spaced mobile number": lambda: f"+49 1{_RANDOM.randrange(50, 80)} {_RANDOM.randrange(10**8):08d}",
    "american number": lambda: f"+1 {_RANDOM.randrange(200, 999)}-555-{_RANDOM.randrange(10**4):04d}",
    "milliseconds": lambda: str(1_600_000_000_000 + _RANDOM.randrange(4 * 10**11)),
    "microseconds": lambda: str(1_600_000_000_000_000 + _RANDOM.randrange(4 * 10**14)),
    "compact time": lambda: _instant().strftime("%Y%m%d%H%M%S"),
    "time with hyphens": lambda: _instant().strftime("%Y-%m-%d %H-%M-%S"),
    "20 digits": lambda: str(_RANDOM.randrange(10**19, 10**20)),
    "coordinates": lambda: f"{_RANDOM.uniform(-90, 90)!r}, {_RANDOM.uniform(-180, 180)!r}",
    "imei": lambda: f"35{_RANDOM.randrange(10**13):013d}",
    "amount": lambda: f"{_RANDOM.randrange(10**10)}.{_RANDOM.randrange(100):02d}",
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(ORDINARY))
def test_ordinary_id_is_never_taken_for_a_card_number(kind: str) -> None:
    """Of 20,000 ids of each ordinary kind none is refused."""
    taken = [text for text in (ORDINARY[kind]() for _ in range(20_000)) if contains_card_number(text)]
    assert taken == []


def test_random_digits_are_taken_for_a_card_number_as_often_as_the_check_allows() -> None:
    """Measured: 4.0 % of 16 random digits (40 % have an issuer's prefix, a tenth of those the check digit)."""
    count = 50_000
    taken = sum(contains_card_number(str(_RANDOM.randrange(10**15, 10**16))) for _ in range(count))
    assert 0.035 < taken / count < 0.045
