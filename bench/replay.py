"""What features of a whole file cost: CPU seconds of each step, rows per CPU second, and the largest memory.

    .venv/bin/python bench/replay.py [--data FILE --format handbook] [--workers 2]

Without a file it takes the handbook's, from CARDWATCH_BENCH_DATA, else from ../shared/data beside the repository.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Beside this file `http.py` would hide the standard library's `http` from everything.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.replay_run import main

    main()
