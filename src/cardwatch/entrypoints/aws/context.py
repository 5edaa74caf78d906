"""What Lambda says of an invocation beside its event."""

from typing import Any, Protocol


class Context(Protocol):
    """Lambda's context object, as far as it is read."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still take, ms."""
        ...


def request_id_of(context: Any) -> str:
    """Return the invocation's id, "" where there is none (a call by hand)."""
    return str(getattr(context, "aws_request_id", "") or "")


def remaining_ms(context: Any) -> int:
    """Return how long the invocation may still take (ms), a long time where nobody says."""
    ask = getattr(context, "get_remaining_time_in_millis", None)
    return int(ask()) if callable(ask) else 60_000
