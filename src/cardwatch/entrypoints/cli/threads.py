"""How the threads of LightGBM wait for each other."""

import os


def wait_quietly() -> None:
    """Let threads that wait sleep, unless the environment says otherwise; before LightGBM is imported.

    OpenMP's threads spin while they wait. Where another process has one of the cores, that made training take six
    times as long (1,000,000 payments, two cores); where none has, sleeping costs nothing that could be seen.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
