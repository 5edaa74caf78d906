"""The process that compiles features for a server: last in line for the processor, gone when the server is.

    python -m cardwatch.runtime.compile_features FOLDER LABEL_DELAY_S

Its standard input is a pipe from the server, which ends with the server, however that ends.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from cardwatch.features.engine import default_engine
from cardwatch.features.machine_code import make

_NICE = 19


def main(arguments: Sequence[str]) -> int:
    """Compile into a folder; returns the exit code."""
    folder, label_delay_s = arguments
    if hasattr(os, "nice"):
        os.nice(_NICE)
    Thread(target=_end_with_the_server, daemon=True).start()
    make(default_engine(int(label_delay_s)), Path(folder))
    return 0


def _end_with_the_server() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
