"""The frame of one invocation: its id in every log line, its messages announced, its metrics written."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from cardwatch.runtime.aws.home import Home


@contextmanager
def invocation(home: Home, *, request_id: str) -> Iterator[None]:
    """Frame an invocation; what it put into the outbox is announced, and what it counted written, however it ends."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    home.take_noted()  # what an invocation that died left is the sweep's
    try:
        yield
    finally:
        home.announce()
        home.metrics.flush()
        structlog.contextvars.clear_contextvars()
