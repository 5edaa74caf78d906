"""One writing process per data folder: an advisory lock that the system releases when its holder ends, however."""

import fcntl
import os
from pathlib import Path

from cardwatch.domain.errors import StoreUnavailable

LOCK_NAME = "writer.lock"


class WriterLock:
    """Holds the folder until `release`; the file stays and says who held it last."""

    def __init__(self, folder: Path) -> None:
        """Take the lock. Raises StoreUnavailable when another process (or store of this one) has it."""
        path = folder / LOCK_NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot write {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreUnavailable(
                f"another Cardwatch process (pid {holder}) uses this data folder; stop it or use its API"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Give the folder free; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
