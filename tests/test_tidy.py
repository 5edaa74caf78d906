"""The rules of the house that no linter knows, held for every source file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "cardwatch"
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(path.relative_to(SOURCE)) for path in FILES]

FUNCTION_LINES_MAX = 50
"""Without the docstring."""

FILE_LINES_MAX = 400

BANNED = {
    "os.environ": "settings are read once, by the runtime",
    "os.getenv": "settings are read once, by the runtime",
    "datetime.now": "time is a port",
    "datetime.utcnow": "time is a port",
    "date.today": "time is a port",
    "time.time": "time is a port",
    "time.time_ns": "time is a port",
    "random.random": "randomness is a port",
    "uuid.uuid4": "randomness is a port",
    "secrets.token_hex": "randomness is a port",
}
EDGES = ("adapters", "runtime", "entrypoints/cli", "learning/build_default_model.py")
"""Where the world is touched."""

PRINTING = ("entrypoints/cli", "__main__.py", "learning/build_default_model.py")

BROAD = ("entrypoints", "runtime", "console")
"""Where whatever happened must be answered or survived."""


def inside(name: str, places: tuple[str, ...]) -> bool:
    """Say whether a file lies in one of the places."""
    return name.startswith(places)


def dotted(node: ast.AST) -> str:
    """Return the last two parts of an attribute ("datetime.now"), else nothing."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
        return f"{owner}.{node.attr}"
    return ""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a file."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines without its docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """Yield public functions and classes of a file, and the public methods of the classes."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    for node in tree.body:
        if not isinstance(node, kinds) or node.name.startswith("_"):
            continue
        yield node.name, node
        for part in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(part, kinds) and not part.name.startswith("_"):
                yield f"{node.name}.{part.name}", part


@pytest.fixture(params=FILES, ids=NAMES)
def source(request: pytest.FixtureRequest) -> tuple[str, ast.Module, str]:
    """Return each source file: its name, its tree, its text."""
    path: Path = request.param
    text = path.read_text("utf-8")
    return str(path.relative_to(SOURCE)), ast.parse(text), text


def test_file_is_short(source: tuple[str, ast.Module, str]) -> None:
    """A file has at most 400 lines."""
    assert source[2].count("\n") <= FILE_LINES_MAX


def test_functions_are_short(source: tuple[str, ast.Module, str]) -> None:
    """A function has at most 50 lines without its docstring."""
    assert {f.name: body_lines(f) for f in functions(source[1]) if body_lines(f) > FUNCTION_LINES_MAX} == {}


def test_public_names_have_docstrings(source: tuple[str, ast.Module, str]) -> None:
    """The module and everything public in it says what it is for."""
    assert ast.get_docstring(source[1]), "the module"
    assert [name for name, node in public(source[1]) if not ast.get_docstring(node)] == []


def test_world_is_touched_at_the_edges_only(source: tuple[str, ast.Module, str]) -> None:
    """No clock, environment or random source inside."""
    name, tree, _ = source
    if inside(name, EDGES):
        return
    found = {dotted(node) for node in ast.walk(tree)} & set(BANNED)
    assert {call: BANNED[call] for call in found} == {}


def test_only_the_command_line_prints(source: tuple[str, ast.Module, str]) -> None:
    """Everything else logs."""
    name, tree, _ = source
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert inside(name, PRINTING) or not [call for call in calls if getattr(call.func, "id", "") == "print"]


def test_broad_except_stands_at_the_edges_only(source: tuple[str, ast.Module, str]) -> None:
    """Inside, an error is named; `except BaseException` may only clean up and raise again."""
    name, tree, _ = source
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)):
        kind = getattr(handler.type, "id", "" if handler.type else "everything")
        if kind == "BaseException":
            assert isinstance(handler.body[-1], ast.Raise)
        elif kind in ("Exception", "everything"):
            assert inside(name, BROAD), f"line {handler.lineno}"


def test_no_money_is_a_float(source: tuple[str, ast.Module, str]) -> None:
    """No field or argument that holds an amount is annotated as float."""
    _, tree, _ = source
    named = [(node.target.id, node.annotation) for node in ast.walk(tree)
             if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]  # fmt: skip
    named += [(node.arg, node.annotation) for node in ast.walk(tree) if isinstance(node, ast.arg) and node.annotation]
    floats = [
        name
        for name, annotation in named
        if name.startswith(("amount", "minor", "money")) and "float" in ast.unparse(annotation)
    ]
    assert floats == []


def test_nothing_is_called_at_import_but_definitions() -> None:
    """Importing the domain, the services and the ports starts no thread and opens no file."""
    for path in FILES:
        name = str(path.relative_to(SOURCE))
        if not inside(name, ("domain", "services", "ports.py")):
            continue
        calls = {ast.unparse(node.value.func) for node in ast.parse(path.read_text("utf-8")).body
                 if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)}  # fmt: skip
        assert calls == set(), name


def test_imports_of_the_cloud_stand_in_their_adapters_only(source: tuple[str, ast.Module, str]) -> None:
    """AWS and Twilio have one place each."""
    name, tree, _ = source
    imported = {
        alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert inside(name, ("adapters", "entrypoints/aws")) or not imported & {"boto3", "botocore", "twilio"}
