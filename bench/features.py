"""What the features of one payment cost, compiled and interpreted, and how large the states are.

Run it from the repository:

    .venv/bin/python bench/features.py [--accounts 400] [--days 90] [--measured 5000] [--folder DIR]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file `http.py` would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.features_run import main

    sys.exit(main())
