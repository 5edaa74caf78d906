"""Imports point inward, and the path of a payment loads nothing heavy."""

import subprocess
import sys

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

HEAVY = ("numpy", "scipy", "pandas", "polars", "lightgbm", "pydantic", "twilio", "boto3", "litestar", "sklearn")
"""What no handler of a payment may load."""

IMPORT_MS_MAX = 300
"""Besides the interpreter's own start."""

_PROBE = """
import sys, time
started = time.process_time()
import cardwatch.services.record_transaction, cardwatch.services.score_transaction
print((time.process_time() - started) * 1000)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_layers_and_seams_hold() -> None:
    """The contracts of import-linter in pyproject.toml are kept."""
    assert lint_imports(cache_dir=None) == EXIT_STATUS_SUCCESS


def test_path_of_a_payment_is_light() -> None:
    """Recording and scoring import within 300 ms of processor time, and none of the heavy packages with them."""
    run = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True, timeout=60)
    taken_ms, loaded = run.stdout.splitlines()
    assert not set(HEAVY) & set(loaded.split())
    assert float(taken_ms) < IMPORT_MS_MAX


def test_webhook_loads_the_validator_and_never_the_client() -> None:
    """Twilio's client is a second of start-up that no signature needs."""
    probe = "import sys; import cardwatch.adapters.channels.twilio.signature; print('twilio.rest' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "False"
