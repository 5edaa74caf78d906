"""The parent's side of unpickling: starts the child, bounds it, and believes nothing that it says.

What it keeps from the file's code: the environment's secrets, the network (where the platform allows), memory, time,
and growing files. What it does not: the code runs as the same user and can read, and remove, what that user can.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Annotated

import msgspec
from msgspec import Meta

from cardwatch.domain.errors import CardwatchError

CHILD = Path(__file__).with_name("child.py")
_SIGNALLED = 128
"""From here on an exit code stands for a signal."""


class ModelRefused(CardwatchError):
    """A model cannot be imported; the message says which file and why, and nothing was written."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a file and the process that unpickles it may take."""

    file_bytes: int = 256 * 1024**2
    output_bytes: int = 128 * 1024**2
    memory_bytes: int = 4 * 1024**3
    """Address space: the libraries alone map more than one GiB."""
    cpu_s: int = 60
    wall_s: float = 120.0


Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z")]


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the child found in the file."""

    model: Annotated[str, Meta(min_length=1)]
    """In LightGBM's text format."""
    threshold: float
    feature_names: Annotated[list[Name], Meta(min_length=1, max_length=5000)]
    classes: Annotated[list[str], Meta(max_length=1000)] | None
    """The labels that a classifier was fitted on, in its order; None for a bare booster."""
    lightgbm: Annotated[str, Meta(max_length=40, pattern=r"^[0-9A-Za-z.+-]+\Z")]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the child gives no artifact."""

    fault: str
    detail: Annotated[str, Meta(max_length=80, pattern=r"^[A-Za-z0-9_.]*\Z")]


class Unpickled(msgspec.Struct, frozen=True):
    """The artifact, and whether the process that loaded the file was without network."""

    artifact: Artifact
    network_cut: bool


_PACKAGES = {"sklearn": "scikit-learn"}

_FAULTS = {
    "missing": "needs the Python package {detail}, which is not installed: pip install {detail}",
    "memory": "needs more memory than an import may take ({memory} MiB)",
    "not_a_dict": "holds {detail}, not a dict with model, threshold and feature_names",
    "no_key": "has no {detail}; a dict with model, threshold and feature_names is needed",
    "no_model": "has {detail} as its model; a lightgbm Booster or LGBMClassifier is needed",
    "no_threshold": "has {detail} as its threshold; a finite number is needed",
    "no_names": "has {detail} as its feature_names; a list of texts is needed",
    "raised": "could not be unpickled ({detail})",
}


def unpickle(path: Path, *, limits: Limits | None = None) -> Unpickled:
    """Load a pickled artifact in a process of its own and return it as text; raises ModelRefused with one line."""
    limits = limits or Limits()
    if sys.platform == "win32":
        raise ModelRefused("importing a pickled model needs Linux or macOS: Windows cannot bound the process")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}") from None
    if size > limits.file_bytes:
        raise ModelRefused(f"{path} has {size:,} bytes; at most {limits.file_bytes:,} are taken")
    output, code = _run(path.resolve(), limits)
    first, _, document = output.partition(b"\n")
    if first not in (b"network cut", b"network open") or not document:
        raise ModelRefused(f"{path}: {_ending(code, limits)}")
    return Unpickled(_read(path, document, limits), first == b"network cut")


def _run(path: Path, limits: Limits) -> tuple[bytes, int]:
    """Run the child in an empty folder with an empty environment; returns what it printed and its exit code."""
    command = [sys.executable, "-I", "-B", str(CHILD), str(path), str(limits.memory_bytes), str(limits.cpu_s)]
    with TemporaryDirectory(prefix="cardwatch-import-", ignore_cleanup_errors=True) as folder:
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {"HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", **single}
        process = subprocess.Popen(  # noqa: S603  this interpreter, our own file
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        with process:
            try:
                output = _listen(path, process, limits)
            finally:
                with suppress(ProcessLookupError, PermissionError):  # the whole session goes, whatever it started
                    os.killpg(process.pid, signal.SIGKILL)
        return output, process.returncode


def _listen(path: Path, process: "subprocess.Popen[bytes]", limits: Limits) -> bytes:
    """Read what the child prints until it ends; raises ModelRefused when that is too much or takes too long."""
    deadline = time.monotonic() + limits.wall_s
    stream: IO[bytes] | None = process.stdout
    if stream is None:
        raise ModelRefused(f"{path}: the process that unpickles could not be started")
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise ModelRefused(f"{path}: unpickling took longer than {limits.wall_s:g} s and was ended")
            chunk = os.read(stream.fileno(), 1 << 20)
            if not chunk:
                break
            output += chunk
            if len(output) > limits.output_bytes:
                raise ModelRefused(f"{path}: what came out of it is larger than {limits.output_bytes:,} bytes")
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise ModelRefused(f"{path}: unpickling took longer than {limits.wall_s:g} s and was ended") from None
    return bytes(output)


def _ending(code: int, limits: Limits) -> str:
    """Say in words why a child that printed no answer ended."""
    number = -code if code < 0 else code - _SIGNALLED
    if number == signal.SIGXCPU:
        return f"unpickling took more than {limits.cpu_s} s of processor time and was ended"
    if number == signal.SIGKILL:
        return "unpickling was ended by the system; it took too much memory or processor time"
    if number > 0:
        return f"unpickling crashed (signal {number})"
    return "the code in it ended the process before it gave a model"


def _read(path: Path, document: bytes, limits: Limits) -> Artifact:
    """Decode the child's answer, strictly; raises ModelRefused."""
    try:
        found = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
        if "fault" in found:
            fault = msgspec.json.decode(document, type=Fault)
        else:
            return msgspec.json.decode(document, type=Artifact)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ModelRefused(f"{path}: what came out of it is no model artifact") from None
    sentence = _FAULTS.get(fault.fault, "cannot be used")
    detail = _PACKAGES.get(fault.detail, fault.detail) or "nothing"
    raise ModelRefused(f"{path} {sentence.format(detail=detail, memory=limits.memory_bytes // 1024**2)}")
