"""Twilio's request signature: whether a form was posted by someone who knows the account's token.

The signed address is the configured public one plus path and query as they came; Host and X-Forwarded headers are
never trusted. Only the SDK's validator is imported (0.05 s), never its client.
"""

import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, urlsplit

from twilio.request_validator import RequestValidator, add_port, remove_port

FORM_FIELDS_MAX = 200
"""Twilio sends some 20 parameters."""


class _Form(dict[str, list[str]]):
    """Fields by name, each with all of its values, as the validator wants them."""

    def getall(self, name: str) -> list[str]:
        """Return a field's values."""
        return self[name]


def parse_form(body: bytes) -> tuple[tuple[str, str], ...] | None:
    """Return the fields of a form post in order, empty ones kept; None if it is not a form."""
    try:
        return tuple(
            parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(body),
                errors="strict",
                max_num_fields=FORM_FIELDS_MAX,
            )
        )
    except ValueError:
        return None


def sign(url: str, body_params: Iterable[tuple[str, str]], *, token: str) -> str:
    """Return the signature of a form post."""
    return str(RequestValidator(token).compute_signature(url, _form(body_params)))


def verify(
    *,
    public_url: str,
    raw_path_and_query: str,
    body_params: Iterable[tuple[str, str]],
    signature: str | None,
    tokens: Sequence[str],
) -> bool:
    """Say whether a form post was signed with one of the tokens (two while they are rotated).

    Twilio signs the address with or without its port, so both are tried.
    """
    if not signature:
        return False
    form = _form(body_params)
    try:
        parts = urlsplit(public_url.rstrip("/") + raw_path_and_query)
        expected = [
            str(RequestValidator(token).compute_signature(url, form))
            for token in tokens
            if token
            for url in (remove_port(parts), add_port(parts))
        ]
    except (TypeError, ValueError):
        return False
    given = signature.encode("utf-8", "replace")
    matches = [hmac.compare_digest(given, candidate.encode()) for candidate in expected]
    return any(matches)


def _form(body_params: Iterable[tuple[str, str]]) -> _Form:
    form = _Form()
    for name, value in body_params:
        form.setdefault(name, []).append(value)
    return form
