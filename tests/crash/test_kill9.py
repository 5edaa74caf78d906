"""`kill -9` at any instant under load: what was acknowledged is there, decided once, and nobody is asked twice."""

import time
from pathlib import Path

import pytest

from tests.crash.crashes import Crashes
from tests.fakes.twilio_server import running_twilio

ROUNDS = 6
ACCOUNTS = 800


@pytest.mark.timeout(180)
def test_kill_9_under_load_loses_nothing_and_asks_nobody_twice(tmp_path: Path) -> None:
    """A few rounds on a growing folder; `bench/kill9.py` runs hundreds. A failure names its seed."""
    seed = time.time_ns() % 1_000_000
    with running_twilio() as twilio:
        crashes = Crashes(tmp_path, twilio, seed=seed, accounts=ACCOUNTS)
        try:
            crashes.open_accounts()
            for _ in range(ROUNDS):
                crashes.round()
            crashes.finish()
        finally:
            crashes.server.stop()
    assert crashes.found.acknowledged > 100, f"seed {seed}: the load was too small to mean anything"
    assert crashes.found.labels > 20, f"seed {seed}: too few labels to mean anything"
    assert crashes.found.questions > 20, f"seed {seed}: too few questions to mean anything"
