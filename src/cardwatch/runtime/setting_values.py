"""How the values of settings are read; each raises ValueError with what would do, never with the value itself."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

_SECRET_LENGTH_MIN = 16


def text(value: str) -> str:
    """Return a text of one line as it is."""
    if not value.isprintable():
        raise ValueError("must be one line without control characters")
    return value


def optional_text(value: str) -> str | None:
    """Return a text, None for none."""
    return value or None


def key(value: str) -> str | None:
    """Return a key, None for none; a short one is refused."""
    if value and len(value.encode()) < _SECRET_LENGTH_MIN:
        raise ValueError(f"must have at least {_SECRET_LENGTH_MIN} characters")
    return value or None


def path(value: str) -> Path:
    """Return a path, with "~" for the home folder."""
    return Path(value).expanduser()


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number within bounds."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return parse


def probability(value: str) -> float | None:
    """Return a probability, None for none."""
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number <= 1:
        raise ValueError("must be a probability greater than 0 and at most 1, such as 0.5")
    return number


def phone(value: str) -> str | None:
    """Return a telephone number in E.164, None for none."""
    if value and not re.fullmatch(r"\+[1-9][0-9]{6,14}", value):
        raise ValueError("must be a number in E.164, such as +12065550100")
    return value or None


def url(value: str) -> str | None:
    """Return an http or https URL without its last slash, None for none."""
    if not value:
        return None
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http or https URL without query, such as https://pay.example.org")
    return value.rstrip("/")


def public_url(value: str) -> str | None:
    """Return the URL that others reach us at, None for none; in clear only on this machine."""
    checked = url(value)
    if checked is None:
        return None
    parts = urlsplit(checked)
    if "@" in parts.netloc:
        raise ValueError("must be a URL without user name and password, such as https://pay.example.org")
    if parts.port == 0:
        raise ValueError("must be a URL with a port that can be reached, or without one")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be an https URL: answers to links and replies come in through it")
    if not checked.isprintable() or " " in checked:
        raise ValueError("must be a URL without spaces and control characters")
    return checked


def api_keys(value: str) -> dict[str, str]:
    """Return secrets by the names of their keys."""
    keys: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in value.split(","))):
        name, colon, secret = pair.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) or len(secret) < _SECRET_LENGTH_MIN:
            raise ValueError(
                f"must be name:secret pairs separated by commas, each secret of {_SECRET_LENGTH_MIN} or more characters"
            )
        if name in keys:
            raise ValueError("must name each key once")
        keys[name] = secret
    return keys


def one_of(value: str, allowed: tuple[str, ...]) -> str:
    """Return one of the allowed words, in lower case."""
    if value.lower() not in allowed:
        raise ValueError(f"must be one of {', '.join(allowed)}")
    return value.lower()


def words(value: str) -> tuple[str, ...]:
    """Return what stands between spaces and line breaks."""
    return tuple(value.split())


def email_address(value: str) -> str | None:
    """Return an e-mail address, None for none."""
    if value and not re.fullmatch(r"[^@\s<>,;\"]{1,64}@[A-Za-z0-9.-]{1,255}", value):
        raise ValueError("must be one plain e-mail address, such as fraud@bank.example")
    return value or None


def table_name(value: str) -> str:
    """Return the name of a DynamoDB table (AWS, naming rules)."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", value):
        raise ValueError("must have 3 to 255 letters, digits or any of _ . -")
    return value


def origin(value: str) -> str | None:
    """Return an origin (RFC 6454) or "*", None for none."""
    if value and value != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]{1,255}", value):
        raise ValueError("must be * or an origin without path, such as https://pages.example.org")
    return value or None


def callback_url(value: str) -> str | None:
    """Return where callbacks go, None for none; in clear only on this machine."""
    if not value:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.port != 0 and value.isprintable() and " " not in value
    except ValueError:
        parts, usable = urlsplit(""), False
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be an https URL: callbacks carry payments")
    known = parts.scheme in ("http", "https") and parts.hostname
    if not (usable and known) or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be an https URL, such as https://payments.example.org/cardwatch")
    return value


def is_loopback(host: str) -> bool:
    """Say whether a host name or address reaches this machine alone."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
