"""A small JSON client of a Cardwatch server, on one kept connection."""

import http.client
from typing import Any
from urllib.parse import urlsplit

import msgspec

from cardwatch.domain.errors import CardwatchError

TIMEOUT_S = 10.0


class Client:
    """Talks to one server; raises CardwatchError with one line when it cannot."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise CardwatchError(f"{url} is not the URL of a server, such as http://127.0.0.1:8000")
        self._url = url
        self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
        self._headers = {"Content-Type": "application/json", **({"X-API-Key": api_key} if api_key else {})}

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request; returns status and decoded body."""
        try:
            content = None if body is None else msgspec.json.encode(body)
            self._connection.request(method, path, content, self._headers)
            response = self._connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise CardwatchError(f"no answer from {self._url}: {error}; is `cardwatch serve` running?") from error
        return response.status, msgspec.json.decode(raw) if raw else None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
