"""Models as LightGBM's text: several as one, and margins scaled and shifted, so that serving needs nothing new.

A margin is the sum of one leaf of every tree (log-odds of fraud). A factor on every leaf scales it, a number added to
every leaf of the first tree shifts it, and the trees of several models in one text add theirs up. Contributions
(TreeSHAP) are sums over the same leaves and stay additive. The format is LightGBM's version 4, `src/io/tree.cpp`.
"""

import re
from collections.abc import Sequence

import lightgbm

_TREE = re.compile(r"^Tree=\d+$", re.MULTILINE)
_END = "end of trees"
_VALUES = ("leaf_value=", "internal_value=")
_THREADS = re.compile(r"\[num_threads: -?\d+\]")


def text_of(booster: lightgbm.Booster) -> str:
    """Return a model's text, without the number of threads that happened to grow it."""
    return _THREADS.sub("[num_threads: 0]", booster.model_to_string())


def merge_boosters(boosters: Sequence[lightgbm.Booster]) -> lightgbm.Booster:
    """Return one model whose margin is the mean of the margins of models over the same features.

    Raises ValueError when there is none, or when their features differ.
    """
    if not boosters:
        raise ValueError("there is no model to merge")
    if len({tuple(booster.feature_name()) for booster in boosters}) > 1:
        raise ValueError("models over different features cannot be merged")
    if len(boosters) == 1:
        return boosters[0]
    parts = [_parts(booster.model_to_string()) for booster in boosters]
    trees = [_mapped(tree, 1 / len(boosters), 0.0) for _, found, _ in parts for tree in found]
    head, _, tail = parts[0]
    return _assembled(head, trees, tail)


def with_margins(booster: lightgbm.Booster, *, slope: float, intercept: float) -> lightgbm.Booster:
    """Return a model whose margin is `slope * margin + intercept`; the slope is above 0, so the ranking stays.

    Raises ValueError for another slope.
    """
    if not slope > 0:
        raise ValueError("the slope must be above 0")
    head, trees, tail = _parts(booster.model_to_string())
    moved = [_mapped(tree, slope, intercept if number == 0 else 0.0) for number, tree in enumerate(trees)]
    return _assembled(head, moved, tail)


def _parts(text: str) -> tuple[str, list[str], str]:
    """Cut a model's text into its head, its trees without their first lines, and what follows them."""
    body, _, rest = text.partition(_END)
    head, *trees = _TREE.split(body)
    # The sizes would no longer be right; without them LightGBM reads one tree after the other.
    kept = [line for line in head.splitlines() if not line.startswith("tree_sizes=")]
    return "\n".join(kept) + "\n", [tree.strip() for tree in trees], _END + rest


def _mapped(tree: str, factor: float, addend: float) -> str:
    return "\n".join(_mapped_line(line, factor, addend) for line in tree.splitlines())


def _mapped_line(line: str, factor: float, addend: float) -> str:
    if not line.startswith(_VALUES):
        return line
    name, _, values = line.partition("=")
    return f"{name}=" + " ".join(repr(float(value) * factor + addend) for value in values.split())


def _assembled(head: str, trees: Sequence[str], tail: str) -> lightgbm.Booster:
    """Let LightGBM read the parts; it writes them again in its own form."""
    numbered = "".join(f"Tree={number}\n{tree}\n\n\n" for number, tree in enumerate(trees))
    return lightgbm.Booster(model_str=f"{head}\n{numbered}{tail}")
