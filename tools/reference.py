"""Writes the generated reference pages: settings from their table, features from theirs."""

from collections.abc import Callable
from pathlib import Path

from cardwatch.features.describe import page as features_page
from cardwatch.features.engine import default_engine
from cardwatch.runtime.settings import TABLE

ROOT = Path(__file__).resolve().parents[1]

_SETTINGS_HEAD = """# Settings

Read from the environment once, at the start; a wrong value stops the start with one line that says which and why.
Generated from the table in `src/cardwatch/runtime/settings.py` by `make docs`.

| name | default | unit | what it does |
|---|---|---|---|
"""


def settings_page() -> str:
    """Build the page of settings."""
    rows = [
        f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.unit} | {row.help}"
        f"{' Secret.' if row.secret else ''} |"
        for row in TABLE
    ]
    return _SETTINGS_HEAD + "\n".join(rows) + "\n"


def _features_page() -> str:
    return features_page(default_engine())


PAGES: dict[str, Callable[[], str]] = {"docs/reference/settings.md": settings_page, "docs/features.md": _features_page}


def main() -> None:
    """Write every page."""
    for name, build in PAGES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(build(), "utf-8")


if __name__ == "__main__":
    main()
