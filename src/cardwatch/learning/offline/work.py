"""The folder of unfinished work: what it belongs to, which pieces are finished, and who works in it.

A piece is written under another name and renamed when it is whole, so what has its name is finished. Each input and
set of options has a folder of its own inside, so nothing written for another can be taken for this one's.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cardwatch.domain.errors import InvalidInput
from cardwatch.learning.running import Say, silent

_HEAD_BYTES = 1 << 20


def file_identity(path: Path) -> dict[str, str | int]:
    """Return what tells a file from another, or from itself after a change: size, time of change, hash of its head."""
    with path.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
    stat = path.stat()
    return {"path": str(path.resolve()), "bytes": stat.st_size, "changed_ns": stat.st_mtime_ns, "head": head}


@contextmanager
def work_folder(beside: Path, belongs_to: Mapping[str, object], *, say: Say = silent) -> Iterator[Path]:
    """Give a folder in `NAME.work` beside an output; it stays when the work is stopped, and is removed when it is done.

    What an earlier run with the same `belongs_to` finished is still in it; what belonged to anything else is removed.
    Raises InvalidInput when another process works in it or it cannot be made.
    """
    root = beside.with_name(beside.name + ".work")
    with _locked(root):
        content = msgspec.json.encode(dict(belongs_to), order="sorted")
        folder = root / hashlib.sha256(content).hexdigest()[:16]
        others = [path for path in root.iterdir() if path.is_dir() and path != folder]
        for path in others:
            shutil.rmtree(path)
        if folder.exists():
            say(f"going on with what is finished in {root}")
        elif others:
            say(f"{root} belonged to another file or other options: starting anew")
        folder.mkdir(exist_ok=True)
        (folder / "manifest.json").write_bytes(content)
        try:
            yield folder
        except InvalidInput:
            # Nothing of it can be used: what is wrong with the input must change first.
            shutil.rmtree(root)
            raise
        except BaseException:
            say(f"stopped; the same command goes on with what is finished in {root}")
            raise
        shutil.rmtree(root)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Keep others out while work goes on; a process that dies lets go by itself."""
    import fcntl  # noqa: PLC0415  only where there is such a lock

    try:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / "lock").open("w")
    except OSError as error:
        raise InvalidInput.at("", f"{root}: cannot be made: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InvalidInput.at("", f"{root}: another command is working in it") from None
        yield


@contextmanager
def piece(path: Path) -> Iterator[Path]:
    """Give a folder to write a piece into, which gets its name when it is whole; a finished one is kept as it is."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    try:
        unfinished.rename(path)
    except OSError:
        # A process that outlived its command may have finished the same piece meanwhile, with the same content.
        if not path.is_dir():
            raise
        shutil.rmtree(unfinished)
