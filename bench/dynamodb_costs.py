"""What a payment costs on DynamoDB, in read and write units. See `dynamodb_costs_run`.

Run it from the repository:

    .venv/bin/python bench/dynamodb_costs.py [--endpoint URL] [--payments 50]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file `http.py` would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.dynamodb_costs_run import main

    sys.exit(main())
