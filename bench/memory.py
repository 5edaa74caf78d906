"""Resident memory of the server with 100,000 accounts of state, while payments come from all over them.

Run it from the repository:

    .venv/bin/python bench/memory.py [--accounts 100000] [--payments 20000]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file `http.py` would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.memory_run import main

    sys.exit(main())
