"""Detection on the Fraud Detection Handbook's payments, by its published protocol, beside its published numbers.

Run it from the repository; the payments are in CARDWATCH_BENCH_DATA, else in ../shared/data beside it:

    .venv/bin/python bench/handbook.py [--validation] [--seeds 1]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file `http.py` would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.handbook_folds import main

    sys.exit(main())
