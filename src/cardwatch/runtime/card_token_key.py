"""The data folder's own key for card tokens: without it nobody can try card numbers against the tokens."""

import os
import secrets

from cardwatch.runtime.settings import Settings

KEY_FILE = "token.key"
_KEY_BYTES = 32


def card_token_key(settings: Settings) -> bytes:
    """Return the key that card numbers are tokenised with.

    It is the configured one, else the data folder's own, made at its first use; only its owner may read the file.
    """
    if settings.token_key is not None:
        return settings.token_key.encode()
    path = settings.data_dir / KEY_FILE
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
    return path.read_bytes()
