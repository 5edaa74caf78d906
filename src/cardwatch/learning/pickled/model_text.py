"""LightGBM's text format, read strictly enough that a stranger's model may be handed to the C library.

The library trusts what it reads: an index out of range is a wild read. So every array is measured and every tree is
walked here first. Reading keeps what scoring and explaining need, and forgets the rest (parameters may name files and
machines). The format is LightGBM's `src/io/tree.cpp` and `gbdt_model_text.cpp`, version 4.
"""

import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from cardwatch.learning.pickled.sandbox import ModelRefused

TREES_MAX = 20_000
LEAVES_MAX = 65_536
DEPTH_MAX = 1000
"""Explaining walks a tree by recursion."""

_VERSIONS = ("v3", "v4")
_HEADER = frozenset(
    ("version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "feature_names",
     "feature_infos", "tree_sizes", "monotone_constraints")
)  # fmt: skip
_PER_NODE = ("split_feature", "threshold", "decision_type", "left_child", "right_child", "internal_count")
_PER_LEAF = ("leaf_value", "leaf_count")
_UNREAD = ("split_gain", "internal_value", "internal_weight", "leaf_weight", "shrinkage")
"""Numbers that nothing here depends on; kept as they are."""
_TREE = frozenset(("num_leaves", "num_cat", "cat_boundaries", "cat_threshold", "is_linear"))
_LINEAR = frozenset(("leaf_const", "num_features", "leaf_features", "leaf_coeff"))
"""Read only to say what they are: trees with lines in their leaves are refused."""
_KNOWN = _TREE | _LINEAR | {*_PER_NODE, *_PER_LEAF, *_UNREAD}
_WHOLE = re.compile(r"-?[0-9]{1,12}")
_NUMBER = r"-?[0-9]{1,20}(\.[0-9]{1,20})?(e[-+]?[0-9]{1,2}|e[-+]?[12][0-9]{2}|e\+?30[0-7]|e-30[0-9])?"
"""A finite double as LightGBM writes it."""
_NUMBERS = re.compile(rf"({_NUMBER}( {_NUMBER})*)?")
_ANY_NUMBERS = re.compile(r"[-+0-9.einfa ]*")
_INFO = re.compile(rf"none|\[{_NUMBER}:{_NUMBER}\]|-?[0-9]{{1,12}}(:-?[0-9]{{1,12}})*")
_RANGE = re.compile(r"\[([^:\]]+):([^:\]]+)\]")

CATEGORY = 1
"""Bit of `decision_type` that says a node asks for categories and its threshold is the place of their list."""


class ModelText(msgspec.Struct, frozen=True):
    """A model that was read: the lines of its head, and those of each tree, by name and in their order."""

    header: dict[str, str]
    trees: tuple[dict[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The feature names, in the order of the model's rows."""
        return tuple(self.header["feature_names"].split())

    def range_of(self, at: int) -> tuple[float, float] | None:
        """Return the lowest and highest value that training saw of a feature, None where the model does not say."""
        found = _RANGE.fullmatch(self.header["feature_infos"].split()[at])
        return (float(found[1]), float(found[2])) if found else None


def read_model(text: str) -> ModelText:
    """Read and check a binary model; raises ModelRefused with what is wrong, without the file's name."""
    head, *rest = text.split("\n\n")
    header = _lines(head.removeprefix("tree\n"), _HEADER, "the model's head")
    if not head.startswith("tree\n") or header.get("version") not in _VERSIONS:
        raise ModelRefused(f"its model is not in a text format that is known ({', '.join(_VERSIONS)})")
    _check_kind(header)
    trees: list[dict[str, str]] = []
    for block in filter(None, (part.strip("\n") for part in rest)):
        if block == "end of trees":
            break
        first, _, body = block.partition("\n")
        if first != f"Tree={len(trees)}" or len(trees) >= TREES_MAX:
            raise ModelRefused(f"its model has no readable tree {len(trees)}")
        trees.append(_read_tree(body, len(trees), features=int(header["max_feature_idx"]) + 1))
    else:
        raise ModelRefused("its model ends before its last tree")
    if not trees:
        raise ModelRefused("its model has no trees")
    if not re.search(r"\npandas_categorical:(null|\[\])\s*\Z", text) and "\npandas_categorical:" in text:
        raise ModelRefused("its model was trained on pandas categories, whose codes only its own data frames have")
    return ModelText(header, tuple(trees))


def scaled(model: ModelText, *, names: Sequence[str], scales: Sequence[float]) -> str:
    """Write a model for features of other names and units: a value in our units is one in theirs times the scale.

    The new model gives for `x` what the old one gave for `x / scale`, bit for bit. Raises ModelRefused for a feature
    that is used as a category and has another unit.
    """
    infos = [
        _scaled_info(info, scale) for info, scale in zip(model.header["feature_infos"].split(), scales, strict=True)
    ]
    trees = [
        f"Tree={number}\n{_written(_scaled_tree(tree, model.names, scales))}\n\n"
        for number, tree in enumerate(model.trees)
    ]
    header = {
        **model.header,
        "feature_names": " ".join(names),
        "feature_infos": " ".join(infos),
        "tree_sizes": " ".join(str(len(tree) + 1) for tree in trees),
    }
    return f"tree\n{_written(header)}\n\n" + "\n".join(trees) + "\nend of trees\n\npandas_categorical:null\n"


def scaled_threshold(threshold: float, scale: float) -> float:
    """Return the largest number whose quotient by `scale` is at most the threshold, so that no value changes sides."""
    largest = 1.7976931348623157e308
    found = max(-largest, min(largest, threshold * scale))
    while found / scale > threshold:
        found = math.nextafter(found, -math.inf)
    while (above := math.nextafter(found, math.inf)) <= largest and above / scale <= threshold:
        found = above
    return found


def _lines(block: str, known: frozenset[str], where: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in block.split("\n"):
        key, _, value = line.partition("=")
        if key == "average_output":
            raise ModelRefused("its model is a random forest; one that was boosted is needed")
        if key not in known or key in values:
            raise ModelRefused(f"{where} has a line that this version does not know: {key[:40]!r}")
        values[key] = value
    return values


def _check_kind(header: Mapping[str, str]) -> None:
    """Refuse what gives no probability of fraud."""
    objective = header.get("objective", "")
    kind = objective.partition(" ")[0]
    if kind != "binary":
        wanted = "a binary one is needed (fraud or genuine)"
        raise ModelRefused(
            f"its model has the objective {kind}; {wanted}" if kind else f"its model names no objective; {wanted}"
        )
    if objective != "binary sigmoid:1":
        raise ModelRefused(
            f"its model turns margins into probabilities another way ({objective!r}); sigmoid:1 is needed"
        )
    if header.get("num_class") != "1" or header.get("num_tree_per_iteration") != "1":
        raise ModelRefused("its model has several classes; one that knows fraud and genuine is needed")
    features = header.get("max_feature_idx", "")
    count = int(features) + 1 if _WHOLE.fullmatch(features) else -1
    for name in ("feature_names", "feature_infos"):
        if len(header.get(name, "").split()) != count:
            raise ModelRefused(f"its model's {name} are not as many as its features")
    whole = _whole(header.get("label_index", "0") + " " + header.get("monotone_constraints", ""), "the model's head")
    if not all(-1 <= value < 2**31 for value in whole) or not all(
        map(_INFO.fullmatch, header["feature_infos"].split())
    ):
        raise ModelRefused("its model's head holds numbers that do not fit")


def _read_tree(body: str, number: int, *, features: int) -> dict[str, str]:
    """Read one tree and check that it can be walked: every index in range, every node and leaf reached once."""
    where = f"tree {number} of its model"
    tree = _lines(body, _KNOWN, where)
    leaves = _whole(tree.get("num_leaves", ""), where)[:1] or [0]
    nodes = leaves[0] - 1
    if not 0 <= nodes < LEAVES_MAX or tree.get("is_linear", "0") != "0" or _LINEAR & set(tree):
        raise ModelRefused(f"{where} has linear leaves, too many, or none")
    for name in _PER_NODE:
        _check_numbers(tree, name, nodes, required=nodes > 0, where=where)
    for name in _PER_LEAF:
        _check_numbers(tree, name, nodes + 1, required=nodes > 0 or name == "leaf_value", where=where)
    for name in _UNREAD:
        _check_numbers(tree, name, None, required=False, where=where)
    if nodes:
        if not all(0 <= at < features for at in _whole(tree["split_feature"], where)):
            raise ModelRefused(f"{where} asks for a feature that the model does not have")
        _check_categories(tree, where)
        _walk(_whole(tree["left_child"], where), _whole(tree["right_child"], where), where)
    return tree


def _check_numbers(tree: Mapping[str, str], name: str, count: int | None, *, required: bool, where: str) -> None:
    text = tree.get(name, "")
    values = text.split()
    if not required and not values:
        return
    pattern = _NUMBERS if required else _ANY_NUMBERS
    if not pattern.fullmatch(text) or (count is not None and len(values) != count):
        raise ModelRefused(f"{where} has a {name} that is not {count or 'a row of'} finite numbers")


def _check_categories(tree: Mapping[str, str], where: str) -> None:
    kinds = _whole(tree["decision_type"], where)
    if not all(0 <= kind < 16 for kind in kinds):
        raise ModelRefused(f"{where} asks in a way that this version does not know")
    lists = (_whole(tree.get("num_cat", "0"), where) or [0])[0]
    bounds, words = _whole(tree.get("cat_boundaries", ""), where), _whole(tree.get("cat_threshold", ""), where)
    whole = not lists or (len(bounds) == lists + 1 and bounds[0] == 0 and bounds == sorted(set(bounds)))
    asked = [float(value) for value, kind in zip(tree["threshold"].split(), kinds, strict=True) if kind & CATEGORY]
    if (
        not whole
        or (lists and bounds[-1] != len(words))
        or not all(0 <= word < 2**32 for word in words)
        or not all(place.is_integer() and 0 <= place < lists for place in asked)
    ):
        raise ModelRefused(f"{where} has lists of categories that do not fit")


def _walk(left: Sequence[int], right: Sequence[int], where: str) -> None:
    """Follow a tree from its root; below 0 stands a leaf."""
    reached: set[int] = set()
    row, depth = [0], 0
    while row:
        depth += 1
        children = [child for node in row for child in (left[node], right[node])]
        outside = any(not -len(left) - 1 <= child < len(left) for child in children)
        reached.update(row)
        reached.update(child for child in children if child < 0)
        row = [child for child in children if child >= 0]
        if outside or depth > DEPTH_MAX or len(set(row)) != len(row) or reached & set(row):
            raise ModelRefused(f"{where} is no tree of at most {DEPTH_MAX} levels")
    if len(reached) != 2 * len(left) + 1:
        raise ModelRefused(f"{where} is no tree: some of its nodes or leaves are not reached once")


def _whole(text: str, where: str) -> list[int]:
    values = text.split()
    if not all(_WHOLE.fullmatch(value) for value in values):
        raise ModelRefused(f"{where} has no whole number where one is needed")
    return [int(value) for value in values]


def _scaled_tree(tree: Mapping[str, str], names: Sequence[str], scales: Sequence[float]) -> dict[str, str]:
    thresholds = tree.get("threshold", "").split()
    asked = [int(at) for at in tree.get("split_feature", "").split()]
    kinds = [int(kind) for kind in tree.get("decision_type", "").split()]
    for node, (at, kind) in enumerate(zip(asked, kinds, strict=True)):
        if scales[at] == 1:
            continue
        if kind & CATEGORY:
            raise ModelRefused(f"its feature {names[at]} is used as a category, which has no unit to convert")
        thresholds[node] = repr(scaled_threshold(float(thresholds[node]), scales[at]))
    return {**tree, "threshold": " ".join(thresholds)} if "threshold" in tree else dict(tree)


def _scaled_info(info: str, scale: float) -> str:
    found = _RANGE.fullmatch(info)
    if scale == 1 or not found:
        return info
    return f"[{float(found[1]) * scale!r}:{float(found[2]) * scale!r}]"


def _written(values: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in values.items())
