"""botocore's errors as the store's own, at one place. Their texts name what failed and never what was stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from cardwatch.domain.errors import StoreCorrupt, StoreUnavailable

_REFUSED: Final = frozenset({"ValidationException", "ItemCollectionSizeLimitExceededException"})
"""What DynamoDB says of a request that it will never take."""

_CONFLICTS: Final = frozenset({"TransactionConflictException", "TransactionConflict"})


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreUnavailable for throttling, time-outs and lost connections, StoreCorrupt for what is never taken.

    A write whose answer was lost may have happened; its conditions make repeating the whole call safe.
    """
    from botocore import exceptions as boto  # noqa: PLC0415 - heavy; loaded with the client anyway

    try:
        yield
    except boto.ClientError as error:
        code = code_of(error)
        if code in _REFUSED:
            raise StoreCorrupt(f"DynamoDB refused {error.operation_name}: {code}") from error
        if code in PASSED_ON:
            raise
        raise StoreUnavailable(f"DynamoDB could not do {error.operation_name}: {code}") from error
    except boto.BotoCoreError as error:
        raise StoreUnavailable(f"DynamoDB cannot be reached ({type(error).__name__})") from error


PASSED_ON: Final = frozenset(
    {
        "ConditionalCheckFailedException",
        "TransactionCanceledException",
        "TransactionConflictException",
        "ResourceInUseException",
        "UnknownOperationException",
    }
)
"""Outcomes, which whoever asked understands."""


def code_of(error: Any) -> str:
    """Return the code of a client error."""
    code: str = error.response.get("Error", {}).get("Code", "unknown")
    return code


def is_conflict(code: str) -> bool:
    """Say whether another transaction was at the same item, so that the same request may pass at once."""
    return code in _CONFLICTS
