"""Take real files of payments through `cardwatch import` and `POST /transaction`, and look for what must not be there.

Run it from the repository; the files are in CARDWATCH_BENCH_DATA, else in ../shared/data beside it:

    .venv/bin/python bench/real_data.py [--posts 20000] [--connections 16]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file `http.py` would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.real_data_run import main

    sys.exit(main())
