"""Features of all entities, put together again: a block of the window's payments at a time, in order."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardwatch.learning.offline.order import OrderFacts


def joined(
    folder: Path, columns: Mapping[str, slice], window: OrderFacts, *, features: int
) -> Iterator[NDArray[np.float64]]:
    """Yield the features of the window's payments as arrays (features, payments of a block); NaN: no value.

    `columns` says where each entity's features stand in the vector.
    """
    found = [
        (columns[path.parent.name.rpartition("-")[0]], path, np.load(path / "blocks.npy").tolist())
        for path in sorted((folder / "features").glob("*-[0-9]*[0-9]/*"))
    ]
    for number, (begin, end) in enumerate(pairwise(window.blocks())):
        block = np.full((features, end - begin), np.nan)
        for place, path, blocks in found:
            low, high = blocks[number], blocks[number + 1]
            if low < high:
                positions = np.load(path / "positions.npy", mmap_mode="r")[low:high] - begin
                block[place, positions] = np.load(path / "values.npy", mmap_mode="r")[low:high].T
        yield block
