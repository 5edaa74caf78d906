"""Writes requirements*.txt from pyproject.toml: every dependency pinned with its hashes, no registry named."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

FILES: dict[str, tuple[str, ...]] = {
    "requirements.txt": ("train",),
    "requirements-aws.txt": ("aws",),
    "requirements-dev.txt": ("train", "dev"),
}
"""The extras that each file adds to what the package itself needs; the guide's scripts train, so the first does too."""


def main() -> int:
    """Compile each file for every supported Python and platform."""
    for name, extras in FILES.items():
        command = [
            sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "tools/build-requirements.in",
            "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url",
            "--no-emit-find-links", "--no-annotate", "--no-header", "--quiet", "--output-file", name,
        ]  # fmt: skip
        for extra in extras:
            command += ["--extra", extra]
        done = subprocess.run(command, cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
