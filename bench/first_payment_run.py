"""Whether the first payment after `/readyz` is as fast as the hundredth.

Each round seeds a fresh folder, starts a server, waits for readiness, and pays 100 times, each time on a new
connection.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from tests.support.server import running_server

from cardwatch.entrypoints.cli.app import run
from cardwatch.entrypoints.cli.client import Client

PAYMENTS = 100
WARM_FROM = 50
PAUSE_S = 0.01


def round_ms(data_dir: Path) -> list[float]:
    """Return the time of each payment of one fresh server, ms."""
    run(["seed", "--data-dir", str(data_dir)])
    times = []
    with running_server(data_dir) as server:
        for number in range(PAYMENTS):
            client = Client(server.url)
            body = {"user_id": f"user_00{number % 5 + 1}", "amount": 4.75, "merchant": f"Corner Coffee {number}"}
            started = time.perf_counter()
            status, _ = client.call("POST", "/transaction", {**body, "location": "Seattle, WA"})
            times.append((time.perf_counter() - started) * 1000)
            client.close()
            if status != 201:
                raise SystemExit(f"a payment was answered with {status}")
            time.sleep(PAUSE_S)
    return times


def main() -> None:
    """Print the first payment's time beside those of the later ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    rounds = parser.parse_args().rounds
    firsts: list[float] = []
    later: list[float] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            times = round_ms(Path(folder))
        firsts.append(times[0])
        later += times[WARM_FROM:]
    print(f"first payment, ms:            {', '.join(f'{first:.2f}' for first in firsts)}")
    print(f"  median                      {median(firsts):.2f}")
    print(f"payments {WARM_FROM} to {PAYMENTS}, ms: median {median(later):.2f}, p95 {quantiles(later, n=20)[-1]:.2f}")
