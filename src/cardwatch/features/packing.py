"""The codec once more, in plain loops over integers, so that it can be compiled: the same bytes as `codec.Codec`.

Both functions follow a layout, `Codec.layout`. They index nothing that they did not check, and say when a blob is not
what `pack` writes; who calls them raises the error.
"""

from collections.abc import MutableSequence, Sequence

PREFIX = 4
"""Bytes in front of the MessagePack pair, which are the caller's."""

WORD = 4


def integer_at(blob: Sequence[int], at: int) -> tuple[int, int]:
    """Return the integer that begins at a position, and where the next begins; -1 there when none can be read."""
    if at < 0 or at >= len(blob):
        return 0, -1
    kind = blob[at] + 0
    at += 1
    if kind < 0x80 or kind >= 0xE0:
        return kind - (0x100 if kind >= 0xE0 else 0), at
    if kind < 0xCC or kind > 0xD3:
        return 0, -1
    size = 1 << (kind & 3)
    if at + size > len(blob):
        return 0, -1
    value = blob[at] + 0
    if kind >= 0xD0 and value >= 0x80:
        value -= 0x100
    elif size == 8 and value >= 0x80:
        return 0, -1
    for step in range(1, size):
        value = value * 256 + blob[at + step]
    return value, at + size


def length_at(blob: Sequence[int], at: int, small: int, wide: int) -> tuple[int, int]:
    """Return the length of an array or of bytes by their own codes (in `small` or 2 bytes), and what follows it."""
    if at >= len(blob):
        return -1, at
    if small and blob[at] >= 0x90 and blob[at] < 0xA0:
        return blob[at] - 0x90, at + 1
    if not small and at + 1 < len(blob) and blob[at] == wide - 1:
        return blob[at + 1] + 0, at + 2
    if at + 2 < len(blob) and blob[at] == wide:
        return blob[at + 1] * 256 + blob[at + 2], at + 3
    return -1, at


def unpack(layout: Sequence[int], blob: Sequence[int], state: MutableSequence[int]) -> int:
    """Write a blob into a state of zeros; returns 1, or 0 when it is damaged and the state must not be used."""
    if len(blob) <= PREFIX or blob[PREFIX] != 0x92:
        return 0
    count, at = length_at(blob, PREFIX + 1, 1, 0xDC)
    scalars = layout[0]
    if count < scalars:
        return 0
    for position in range(scalars):
        state[position], at = integer_at(blob, at)
        if at < 0:
            return 0
    left, at, after = unpack_rings(layout, blob, state, count - scalars, at)
    if at >= 0 and layout[3] >= 0:
        left, at = unpack_buckets(layout, blob, state, left, at)
    if at < 0 or left:
        return 0
    return unpack_lists(layout, blob, state, at, after)


def unpack_rings(
    layout: Sequence[int], blob: Sequence[int], state: MutableSequence[int], left: int, at: int
) -> tuple[int, int, int]:
    """Read the tiles of all rings; returns how many integers are left, where they begin, and the layout's lists."""
    place = 7
    for _ in range(layout[1]):
        used, tiles, columns = state[layout[place]], layout[place + 2], layout[place + 3]
        if used < 0 or used > layout[place + 1]:
            return 0, -1, 0
        tile = 0
        for step in range(used):
            gap, at = integer_at(blob, at)
            if at < 0:
                return 0, -1, 0
            tile += gap
            state[tiles + step] = tile
        for column in range(columns):
            start, total = layout[place + 4 + 2 * column], layout[place + 5 + 2 * column]
            added = 0
            for step in range(used):
                state[start + step], at = integer_at(blob, at)
                if at < 0:
                    return 0, -1, 0
                added += state[start + step]
            if total >= 0:
                state[total] = added
        left -= used * (1 + columns)
        place += 4 + 2 * columns
    return left, at, place


def unpack_buckets(
    layout: Sequence[int], blob: Sequence[int], state: MutableSequence[int], left: int, at: int
) -> tuple[int, int]:
    """Read the counts of amounts; returns how many integers are left, and where what follows begins."""
    lowest, highest = state[layout[4]], state[layout[5]]
    if lowest < 0 or highest < lowest or highest >= layout[6] or left != highest - lowest + 1:
        return 0, -1
    for bucket in range(lowest, highest + 1):
        state[layout[3] + bucket], at = integer_at(blob, at)
        if at < 0:
            return 0, -1
    return 0, at


def unpack_lists(layout: Sequence[int], blob: Sequence[int], state: MutableSequence[int], at: int, place: int) -> int:
    """Read the lists of hashes, which end the blob; returns 1, or 0 when they do not."""
    size, at = length_at(blob, at, 0, 0xC5)
    if size < 0 or at + size != len(blob):
        return 0
    for _ in range(layout[2]):
        used, start = state[layout[place]], layout[place + 1]
        if used < 0 or used > layout[place + 2] or used * WORD > len(blob) - at:
            return 0
        for step in range(used):
            state[start + step] = blob[at] + blob[at + 1] * 0x100 + blob[at + 2] * 0x10000 + blob[at + 3] * 0x1000000
            at += WORD
        place += 3
    return 1 if at == len(blob) else 0


def put_integer(out: MutableSequence[int], at: int, value: int) -> int:
    """Write an integer in as few bytes as it needs; returns where the next goes."""
    if value >= -0x20 and value < 0x80:
        out[at] = value & 0xFF
        return at + 1
    kind, size = 0xCC, 1
    if value < 0:
        kind = 0xD0
        while size < 8 and value < -(1 << (8 * size - 1)):
            size *= 2
            kind += 1
    else:
        while size < 8 and value >> (8 * size):
            size *= 2
            kind += 1
    out[at] = kind
    for step in range(size):
        out[at + 1 + step] = (value >> (8 * (size - 1 - step))) & 0xFF
    return at + 1 + size


def put_length(out: MutableSequence[int], at: int, value: int, wide: int) -> int:
    """Write a length in two bytes behind its code; returns what follows."""
    out[at] = wide
    out[at + 1] = value >> 8
    out[at + 2] = value & 0xFF
    return at + 3


def pack(layout: Sequence[int], state: Sequence[int], out: MutableSequence[int]) -> int:
    """Write a state behind the prefix in `out`, which has room for any; returns the end, -1 when it is no state."""
    count, words = lengths(layout, state)
    if count < 0 or words < 0:
        return -1
    out[PREFIX] = 0x92
    at = PREFIX + 1
    if count < 16:
        out[at] = 0x90 + count
        at += 1
    else:
        at = put_length(out, at, count, 0xDC)
    for position in range(layout[0]):
        at = put_integer(out, at, state[position])
    at, place = pack_rings(layout, state, out, at)
    if layout[3] >= 0:
        for bucket in range(state[layout[4]], state[layout[5]] + 1):
            at = put_integer(out, at, state[layout[3] + bucket])
    if words * WORD < 0x100:
        out[at] = 0xC4
        out[at + 1] = words * WORD
        at += 2
    else:
        at = put_length(out, at, words * WORD, 0xC5)
    for _ in range(layout[2]):
        start = layout[place + 1]
        for step in range(state[layout[place]]):
            for byte in range(WORD):
                out[at + byte] = (state[start + step] >> (8 * byte)) & 0xFF
            at += WORD
        place += 3
    return at


def pack_rings(layout: Sequence[int], state: Sequence[int], out: MutableSequence[int], at: int) -> tuple[int, int]:
    """Write the tiles of all rings; returns what follows in `out` and in the layout."""
    place = 7
    for _ in range(layout[1]):
        used, tiles, columns = state[layout[place]], layout[place + 2], layout[place + 3]
        before = 0
        for step in range(used):
            at = put_integer(out, at, state[tiles + step] - before)
            before = state[tiles + step]
        for column in range(columns):
            start = layout[place + 4 + 2 * column]
            for step in range(used):
                at = put_integer(out, at, state[start + step])
        place += 4 + 2 * columns
    return at, place


def lengths(layout: Sequence[int], state: Sequence[int]) -> tuple[int, int]:
    """Return how many integers and how many hashes are stored of a state; -1 when one of its lengths is impossible."""
    count, words, place = layout[0], 0, 7
    for _ in range(layout[1]):
        used = state[layout[place]]
        if used < 0 or used > layout[place + 1]:
            return -1, -1
        count += used * (1 + layout[place + 3])
        place += 4 + 2 * layout[place + 3]
    if layout[3] >= 0:
        lowest, highest = state[layout[4]], state[layout[5]]
        if lowest < 0 or highest < lowest or highest >= layout[6]:
            return -1, -1
        count += highest - lowest + 1
    for _ in range(layout[2]):
        used = state[layout[place]]
        if used < 0 or used > layout[place + 2]:
            return -1, -1
        words += used
        place += 3
    return count, words
