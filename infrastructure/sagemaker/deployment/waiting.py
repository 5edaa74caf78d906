"""Waiting for an endpoint to settle, with a limit, and with every change of its status told."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from infrastructure.sagemaker.deployment.account import Account, Endpoint
from infrastructure.sagemaker.deployment.errors import StillChanging


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait, how often to look, and who hears of it."""

    limit_s: float
    poll_s: float
    say: Callable[[str], None]
    """Hears a line at every change."""
    show: Callable[[str], None]
    """Hears what to show while nothing changes."""


def settled(account: Account, name: str, patience: Patience) -> Endpoint | None:
    """Return the endpoint once it is no longer being changed, None once it is gone; raises StillChanging."""
    started, last = time.monotonic(), ""
    while True:
        found = account.endpoint(name)
        status = found.status if found else "gone"
        passed_s = time.monotonic() - started
        if status != last:
            patience.say(f"{name}: {status}")
            last = status
        if found is None or not found.changing:
            return found
        if passed_s >= patience.limit_s:
            raise StillChanging(f"{name} is still {status} after {passed_s / 60:.0f} minutes")
        patience.show(f"{name}: {status} for {passed_s:.0f} s (usually 3 to 8 minutes)")
        time.sleep(min(patience.poll_s, max(patience.limit_s - passed_s, 0.001)))
