"""The page's own files, read once from the package and served under the hash of them all.

A changed file changes every address, so browsers may keep them for ever and never mix two versions.
"""

import hashlib
from functools import cache
from importlib.resources import files

import msgspec

_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class Asset(msgspec.Struct, frozen=True):
    """A file as it is sent."""

    body: bytes
    media_type: str


class Assets(msgspec.Struct, frozen=True):
    """All files by name; `version` is the hash of all of them."""

    version: str
    by_name: dict[str, Asset]


@cache
def load_assets() -> Assets:
    """Read the files beside this module."""
    found: dict[str, Asset] = {}
    digest = hashlib.sha256()
    for entry in sorted(files(__package__).joinpath("static").iterdir(), key=lambda entry: entry.name):
        media_type = _TYPES.get(entry.name[entry.name.rfind(".") :])
        if media_type is not None:
            body = entry.read_bytes()
            found[entry.name] = Asset(body, media_type)
            digest.update(f"{entry.name}:{len(body)}:".encode() + body)
    return Assets(digest.hexdigest()[:12], found)


@cache
def page_template() -> str:
    """Read the page, with its {placeholders}."""
    return files(__package__).joinpath("page.html").read_text("utf-8")
