"""Looking for card numbers in files, in every way that people group their digits."""

import mmap
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

_RUN = re.compile(rb"[0-9](?:[ .\-_/]?[0-9]){11,}")
_NO_DIGIT = re.compile(rb"[^0-9]")


def card_numbers_in(content: bytes | mmap.mmap, numbers: Collection[str]) -> set[str]:
    """Return those of the numbers (12 digits or more) that a content holds, plain or grouped by any separator."""
    wanted = {number.encode() for number in numbers}
    lengths = sorted({len(number) for number in wanted})
    found: set[str] = set()
    for run in _RUN.finditer(content):
        digits = _NO_DIGIT.sub(b"", run.group())
        for length in lengths:
            for start in range(len(digits) - length + 1):
                if digits[start : start + length] in wanted:
                    found.add(digits[start : start + length].decode())
    return found


def files_with_card_numbers(files: Iterable[Path], numbers: Collection[str]) -> dict[str, int]:
    """Return how many of the numbers each file holds, by the file's name; files without any are left out."""
    counts = {path.name: len(card_numbers_in(content, numbers)) for path, content in _contents(files)}
    return {name: count for name, count in counts.items() if count}


def occurrences(files: Iterable[Path], piece: bytes) -> int:
    """Count a piece of text in files."""
    return sum(len(re.findall(re.escape(piece), content)) for _, content in _contents(files))


def _contents(files: Iterable[Path]) -> Iterator[tuple[Path, mmap.mmap]]:
    for path in files:
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                yield path, content
