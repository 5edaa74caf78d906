"""One definition of features, many ways to compute them: count the bits in which they differ, which must be none.

    .venv/bin/python bench/parity.py [--payments 1000000] [--http 200000] [--kills 12] [--seed 1]

A population pays, out of order and with payments sent twice, and is labelled. First in this process: interpreted, with
crashes between reading and storing; compiled; and replayed offline. Then over HTTP on several connections to a real
server with a SQLite file, which is killed by kill -9 again and again; the order in which it applied payments and labels
is read from its change log, and the other ways run in that order. Compared are all vectors and all final states.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file `http.py` would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.parity_run import main

    sys.exit(main())
