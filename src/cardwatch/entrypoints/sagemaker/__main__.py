"""`python -m cardwatch.entrypoints.sagemaker serve|train`, as the scripts of the image call it."""

import argparse
import sys
from pathlib import Path

from cardwatch.domain.errors import CardwatchError
from cardwatch.entrypoints.cli.threads import wait_quietly

ROOT = Path("/opt/ml")
"""What SageMaker mounts: model, input, output."""

PORT = 8080


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop, or train once; returns the exit code."""
    parser = argparse.ArgumentParser(prog="cardwatch-sagemaker", description="What SageMaker runs in our image.")
    parser.add_argument("what", choices=["serve", "train"])
    parser.add_argument("--root", type=Path, default=ROOT, help="what SageMaker mounts (default: %(default)s)")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: %(default)s)")  # noqa: S104  a container's own
    parser.add_argument("--port", type=int, default=PORT, help="port to listen on (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    wait_quietly()
    if chosen.what == "train":
        from cardwatch.entrypoints.sagemaker.training import run_job  # noqa: PLC0415  needs the train extra

        return run_job(chosen.root)
    from cardwatch.entrypoints.sagemaker.server import run_server  # noqa: PLC0415  training needs no server

    try:
        run_server(chosen.root / "model", host=chosen.host, port=chosen.port)
    except CardwatchError as error:
        sys.stderr.write(f"cardwatch-sagemaker: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
