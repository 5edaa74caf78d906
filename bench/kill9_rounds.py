"""The rounds of `bench/kill9.py`; what must hold stands in `tests/crash/crashes.py`."""

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path

from bench.machine import machine
from tests.crash.crashes import Crashes
from tests.fakes.twilio_server import running_twilio

CHALLENGE_TTL_S = 120
"""Longer than a lease (60 s), so that interrupted texts are looked up, and short enough to see questions end."""

_REPORT_ROUNDS = 10
_SETTLE_POLL_S = 2.0


def run(crashes: Crashes, *, rounds: int, settle_s: float) -> None:
    """Kill as often as asked, then let the last questions end."""
    crashes.open_accounts()
    print(f"{'round':>6}{'acknowledged':>14}{'unanswered':>12}{'questions':>11}{'in flight':>11}")
    for number in range(1, rounds + 1):
        crashes.round()
        if number % _REPORT_ROUNDS == 0 or number == rounds:
            found = crashes.found
            shown = f"{found.acknowledged:14,}{found.unanswered:12,}{found.questions:11,}{found.in_flight:11,}"
            print(f"{number:6}{shown}", flush=True)
    crashes.finish()
    if settle_s:
        left = settle(crashes, settle_s)
        print(f"after settling: {left} questions open or texts to be sent, {crashes.found.questions:,} questions asked")
        assert left == 0, "some question neither ended nor was asked"  # noqa: S101


def settle(crashes: Crashes, seconds: float) -> int:
    """Serve without load until every question has ended; returns how many have not."""
    with crashes.server:
        until = time.monotonic() + seconds
        while (left := crashes.unsettled()) and time.monotonic() < until:
            time.sleep(_SETTLE_POLL_S)
    crashes.finish()
    return left


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--settle", type=float, default=300.0, help="longest wait for the last questions, s; 0 for none"
    )
    parser.add_argument("--folder", type=Path, default=None, help="where to put the files")
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    print(f"{machine()}\nseed {seed}", flush=True)
    scratch = Path(tempfile.mkdtemp(prefix="cardwatch-kill9-", dir=options.folder))
    began = time.monotonic()
    with running_twilio() as twilio:
        crashes = Crashes(scratch, twilio, seed=seed, accounts=options.accounts, challenge_ttl_s=CHALLENGE_TTL_S)
        try:
            run(crashes, rounds=options.rounds, settle_s=options.settle)
        except AssertionError as error:
            print(f"FAILED with seed {seed}: {error}\nthe folder is kept: {scratch}")
            return 1
        finally:
            crashes.server.stop()
    kills = f"{crashes.kills} kills under load and {crashes.kills_at_start} at a start"
    print(f"{kills} in {time.monotonic() - began:.0f} s: nothing lost, nothing decided or asked twice")
    shutil.rmtree(scratch)
    return 0
