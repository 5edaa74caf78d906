"""Whether the first payment after `/readyz` is as fast as the hundredth.

Run it from the repository:

    .venv/bin/python bench/first_payment.py [--rounds 6]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file `http.py` would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.first_payment_run import main

    main()
