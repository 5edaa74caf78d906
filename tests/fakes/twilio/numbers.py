"""Numbers and codes: Twilio's own magic numbers (test credentials), and ours for what happens to a text later."""

ACCOUNT_SID = "AC" + "1" * 32
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
OWN_NUMBERS = frozenset({"+12025550199"})
MAGIC_SENDER = "+15005550006"
"""The sender that test credentials may use."""

REFUSED_RECEIVERS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
REFUSED_SENDERS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}

STATUS_OF_CODE = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}
"""HTTP statuses of codes; 400 where none is named."""

_UNDELIVERED = frozenset({30003, 30005, 30006, 30008})


def number_failing_with(code: int) -> str:
    """Return a valid number whose texts are taken and then fail with a code 30xxx: 30003 is +15005553003."""
    return f"+1500555{code - 27_000}"


def delivery_code(number: str) -> int | None:
    """Return the code that texts to such a number fail with, None for every other number."""
    last = number.removeprefix("+15005553")
    return 30_000 + int(last) if last != number and len(last) == 3 and last.isdigit() else None


def last_status(code: int | None) -> str:
    """Return the status that a text ends with."""
    if code is None:
        return "delivered"
    return "undelivered" if code in _UNDELIVERED else "failed"


def error_body(status: int, code: int) -> dict[str, object]:
    """Return an error as Twilio prints it, with the number that it likes to name."""
    return {"code": code, "message": "The number +12025550101 is not valid", "more_info": "", "status": status}
