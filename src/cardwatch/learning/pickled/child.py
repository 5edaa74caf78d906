"""Unpickles one file and prints what is in it as text; runs alone in a process of its own, and imports nothing of ours.

Unpickling runs code of whoever made the file. Before it starts, this process gives up network, other processes'
names, new privileges, and all but a measured share of memory, time and files. What it prints is checked by
`sandbox.py` as if a stranger had written it. First line: whether the network is cut off; then one JSON document.
"""

import ctypes
import importlib
import json
import math
import os
import pickle
import sys
from collections.abc import Sequence
from contextlib import suppress

_NEW_NAMESPACES = 0x10000000 | 0x40000000 | 0x20000000 | 0x08000000  # CLONE_NEWUSER, NEWNET, NEWPID, NEWIPC
_DIE_WITH_PARENT, _NO_NEW_PRIVILEGES = 1, 38  # PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS
_KILL = 9


class Unfit(Exception):
    """The file holds something else than a model artifact; `fault` and `detail` are read by the parent."""

    def __init__(self, fault: str, detail: str = "") -> None:
        super().__init__(fault)
        self.fault = fault
        self.detail = detail


def main(path: str, memory_bytes: int, cpu_s: int) -> None:
    """Give everything up, load the file, print what it holds."""
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the file's code prints is nobody's answer
    cut = cut_off()
    limit(memory_bytes, cpu_s)
    os.write(out, b"network cut\n" if cut else b"network open\n")

    def answer(value: object) -> None:
        with os.fdopen(out, "wb") as stream:
            stream.write(json.dumps(value).encode())

    def report(kind: type[BaseException], error: BaseException, _: object) -> None:
        fault, detail = fault_of(kind, error)
        answer({"fault": fault, "detail": detail})

    sys.excepthook = report
    answer(describe(load(path)))


def fault_of(kind: type[BaseException], error: BaseException) -> tuple[str, str]:
    """Name what went wrong for the parent."""
    if isinstance(error, Unfit):
        return error.fault, error.detail
    if isinstance(error, ModuleNotFoundError):
        return "missing", str(error.name or "").partition(".")[0]
    if isinstance(error, MemoryError):
        return "memory", ""
    return "raised", kind.__name__


def cut_off() -> bool:
    """Leave the network, and go on in a namespace of processes that dies as a whole; False where not allowed."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.unshare(_NEW_NAMESPACES) != 0:
        return False
    inner = os.fork()
    if inner:
        _, status = os.waitpid(inner, 0)
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code >= 0 else 128 - code)
    libc.prctl(_DIE_WITH_PARENT, _KILL, 0, 0, 0)
    return True


def limit(memory_bytes: int, cpu_s: int) -> None:
    """Bound memory and processor time; no file may grow, no core be dumped, no process be started."""
    import resource  # noqa: PLC0415  not on every platform

    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    for kind, value in limits.items():
        with suppress(ValueError, OSError):  # a platform that knows no such limit
            resource.setrlimit(kind, (value, value))


def load(path: str) -> object:
    """Load a file of pickle or joblib."""
    try:
        joblib = importlib.import_module("joblib")
    except ModuleNotFoundError:
        return load_plain(path)
    return joblib.load(path)


def load_plain(path: str) -> object:
    """Load a file of pickle where joblib is missing; a file that only joblib can read says so."""
    with open(path, "rb") as file:  # noqa: PTH123  as few modules as possible
        try:
            return pickle.load(file)  # noqa: S301  this process exists for it
        except (pickle.UnpicklingError, EOFError, ValueError):
            raise ModuleNotFoundError(name="joblib") from None


def describe(artifact: object) -> dict[str, object]:
    """Return the parts of the artifact as text, numbers and lists of text."""
    if not isinstance(artifact, dict):
        raise Unfit("not_a_dict", type(artifact).__name__)
    for key in ("model", "threshold", "feature_names"):
        if key not in artifact:
            raise Unfit("no_key", key)
    import lightgbm  # noqa: PLC0415  only now: a file that is something else needs nothing

    model, classes = artifact["model"], None
    if isinstance(model, lightgbm.LGBMClassifier):
        classes = [str(one) for one in model.classes_]
        model = model.booster_
    if not isinstance(model, lightgbm.Booster):
        raise Unfit("no_model", type(model).__name__)
    return {
        "model": model.model_to_string(),
        "threshold": threshold_of(artifact["threshold"]),
        "feature_names": names_of(artifact["feature_names"]),
        "classes": classes,
        "lightgbm": lightgbm.__version__,
    }


def threshold_of(value: object) -> float:
    """Read the threshold, which may be a number of numpy."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Unfit("no_threshold", type(value).__name__) from None
    if isinstance(value, bool | str) or not math.isfinite(number):
        raise Unfit("no_threshold", type(value).__name__)
    return number


def names_of(value: object) -> list[str]:
    """Read the feature names, which may stand in an array of numpy or an index of pandas."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not all(isinstance(n, str) for n in value):
        raise Unfit("no_names", type(value).__name__)
    return [str(name) for name in value]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
