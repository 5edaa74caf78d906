"""What generated programs may not hold, lest one machine rounds otherwise than another."""

import ast
from collections.abc import Iterator

import pytest

from cardwatch.features.engine import default_engine

PROGRAMS = default_engine().programs

_CALLS = {"sqrt", "fold", "len", "range"}
"""What may be called: the square root is exact by IEEE 754; logarithms, exponentials and the like are not."""


def floats_of(tree: ast.AST) -> set[str]:
    """Return the names that hold a float somewhere; assignments are followed until no more are found."""
    names: set[str] = {"nan"}
    while True:
        found = set(names)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and is_float(node.value, names):
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and is_float(node.value, names):
                found.add(node.target.id)
        if found == names:
            return names
        names = found


def is_float(node: ast.expr, names: set[str]) -> bool:
    """Whether an expression may be a float; of states and payments all numbers are integers."""
    match node:
        case ast.Constant(value=value):
            found = isinstance(value, float)
        case ast.Name(id=name):
            found = name in names
        case ast.BinOp(left=left, op=op, right=right):
            found = isinstance(op, ast.Div) or is_float(left, names) or is_float(right, names)
        case ast.UnaryOp(operand=operand):
            found = is_float(operand, names)
        case ast.IfExp(body=body, orelse=other):
            found = is_float(body, names) or is_float(other, names)
        case ast.Call(func=ast.Name(id="sqrt")) | ast.Subscript(value=ast.Name(id="DISTINCT")):
            found = True
        case ast.Subscript(value=ast.Name(id=("s" | "e"))) | ast.Compare() | ast.BoolOp():
            found = False
        case _:
            raise AssertionError(f"nobody thought of {ast.unparse(node)}")
    return found


def fusible(source: str) -> Iterator[str]:
    """Yield the float sums of a product, which a processor may compute with one rounding in place of two.

    A name that was assigned a product counts as one: compilers see through it.
    """
    tree = ast.parse(source)
    names = floats_of(tree)
    products = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(is_product(part, names, set()) for part in branches(node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.BinOp | ast.AugAssign) or not isinstance(node.op, ast.Add | ast.Sub):
            continue
        sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.value]
        if any(is_product(part, names, products) for side in sides for part in branches(side)):
            yield ast.unparse(node)


def branches(node: ast.expr) -> Iterator[ast.expr]:
    """Yield what an expression may be, through signs and conditions."""
    if isinstance(node, ast.IfExp):
        yield from branches(node.body)
        yield from branches(node.orelse)
    elif isinstance(node, ast.UnaryOp):
        yield from branches(node.operand)
    else:
        yield node


def is_product(node: ast.expr, names: set[str], products: set[str]) -> bool:
    """Whether an expression is a product of floats, or a name for one."""
    if isinstance(node, ast.Name):
        return node.id in products
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and is_float(node, names)


@pytest.mark.parametrize("entity", PROGRAMS)
def test_no_float_is_multiplied_and_added(entity: str) -> None:
    """A fused multiply-add rounds once: with it arm64 and x86 would give other bits, and so would two compilers."""
    assert list(fusible(PROGRAMS[entity].source)) == []


@pytest.mark.parametrize("entity", PROGRAMS)
def test_nothing_inexact_is_called(entity: str) -> None:
    """No logarithm, exponential or trigonometry, and no power."""
    tree = ast.parse(PROGRAMS[entity].source)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert calls <= _CALLS
    assert not any(isinstance(node, ast.Pow) for node in ast.walk(tree))


@pytest.mark.parametrize(
    "text",
    ["o[0] = a * 1.0 + b", "x = a / b\ny = x * 2\nz = y - 1", "x = a / b\nx = -(x * x) + x", "t = 1.5\nt += t * a"],
)
def test_what_could_be_fused_is_seen(text: str) -> None:
    """Directly, through a name, through a sign, and where something is added to."""
    assert list(fusible(text.replace("a", "s[0]").replace("b", "s[1]")))


@pytest.mark.parametrize("text", ["x = s[0] * s[1] + 1", "x = (s[0] + s[1]) * 1.0 / 2", "x = sqrt(s[0] * 1.0) * 2.0"])
def test_integers_and_quotients_are_let_through(text: str) -> None:
    """Integers are exact, and a product of a float alone is rounded once."""
    assert list(fusible(text)) == []
