"""Writing what its sender will not send again: Twilio waits 15 s and repeats only what never connected."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from cardwatch.domain.errors import OperatingError

T = TypeVar("T")

RETRIES_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


def write_surely(work: Callable[[], T]) -> T:
    """Do what writes, again while another try may help; raises OperatingError when none did."""
    for pause_s in RETRIES_S:
        try:
            return work()
        except OperatingError as error:
            if not error.retryable:
                raise
            time.sleep(pause_s)
    return work()
