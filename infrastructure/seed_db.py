"""Seeds the data that the setup guide's commands answer with: `python seed_db.py all`.

Writes the embedded store of CARDWATCH_DATA_DIR. Works from a checkout too, where the package is not installed: `src`
then goes on the path.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("cardwatch") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cardwatch.entrypoints.cli.app import run


def main(arguments: list[str] | None = None) -> int:
    """Seed, with progress; again changes nothing."""
    parser = argparse.ArgumentParser(description="Write the sample accounts, their history, and txn_123.")
    parser.add_argument("what", choices=["all"], help="what to write")
    parser.add_argument("--data-dir", help="folder of the embedded store (default: CARDWATCH_DATA_DIR)")
    chosen = parser.parse_args(arguments)
    return run(["seed", *(["--data-dir", chosen.data_dir] if chosen.data_dir else [])])


if __name__ == "__main__":
    sys.exit(main())
