"""Keys of the data folder's own, each made at its first use; only its owner may read the files."""

import os
import secrets
from pathlib import Path

from cardwatch.runtime.settings import Settings

CARD_KEY_FILE = "token.key"
LINK_KEY_FILE = "link.key"
_KEY_BYTES = 32


def card_token_key(settings: Settings) -> bytes:
    """Return the key that card numbers are tokenised with: without it nobody can try numbers against the tokens."""
    return _configured_or_kept(settings, settings.token_key, CARD_KEY_FILE)


def link_key(settings: Settings) -> bytes:
    """Return the key that links in messages are signed with: without it nobody can make one."""
    return _configured_or_kept(settings, settings.link_key, LINK_KEY_FILE)


def _configured_or_kept(settings: Settings, configured: str | None, file_name: str) -> bytes:
    if configured is not None:
        return configured.encode()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _kept(settings.data_dir / file_name)


def _kept(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
    return path.read_bytes()
