"""A server that is told to stop while pages listen."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

_START_S = 30.0
_STOP_S = 3.0
"""Well below the patience that the server has with open responses."""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_streams_end_at_once_when_the_process_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    """Pages that listen neither delay the stop nor break it, and their streams end completely."""
    log = tmp_path / "log"
    command = [sys.executable, "-m", "cardwatch", "serve", "--data-dir", str(tmp_path / "data"), "--port", "0"]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors, env={**os.environ, "NO_COLOR": "1"})
    try:
        url = _url_of(log)
        with httpx.stream("GET", f"{url}/events", timeout=10) as first, httpx.stream("GET", f"{url}/events") as second:
            lines = [first.iter_lines(), second.iter_lines()]
            assert [next(stream) for stream in lines] == ["retry: 2000"] * 2
            process.send_signal(number)
            told = time.monotonic()
            for stream in lines:
                list(stream)  # a stream that was cut off would raise
        process.wait(_STOP_S)
        assert time.monotonic() - told < _STOP_S
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


def _url_of(log: Path) -> str:
    """Return where the server listens, once it answers."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        words = log.read_text().split()
        for url in (word for word in words if word.startswith("http://")):
            try:
                if httpx.get(f"{url}/readyz").status_code == 200:
                    return url
            except httpx.TransportError:
                continue
        time.sleep(0.05)
    raise AssertionError(log.read_text())
