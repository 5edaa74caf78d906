"""Measure the server over HTTP: decided and durable payments per second, and how long each takes. Needs wrk.

.venv/bin/python bench/http.py [--seconds 8] [--connections 1 8 32 64] [--rate 266] [--quick]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file its own name would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.http_load import main

    sys.exit(main())
