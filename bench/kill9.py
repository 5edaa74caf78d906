"""Kill a server under load 200 times at random instants, and check after each that every promise still holds.

Run it from the repository:

    .venv/bin/python bench/kill9.py [--rounds 200] [--accounts 2000] [--seed N] [--settle 300]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file `http.py` would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.kill9_rounds import main

    sys.exit(main())
