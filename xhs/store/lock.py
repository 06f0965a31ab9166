"""A file lock that the operating system releases when its process ends."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def take_lock(path: Path, deadline: float = 0.0) -> int | None:
    """Wait for the lock on ``path`` until ``deadline`` (``time.monotonic``).

    Return its file descriptor, or None after the deadline. The lock belongs to the open file and is
    released with the process: a file that a killed process left behind is not locked. A lock on a
    file that its previous holder has removed meanwhile does not count.

    Raises:
        OSError: if the file cannot be opened.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            if time.monotonic() > deadline:
                return None
            time.sleep(0.02)
            continue
        if _is_same_file(descriptor, path):
            return descriptor
        os.close(descriptor)


def drop_lock(path: Path, descriptor: int) -> None:
    """Release a lock and remove its file.

    Remove the file first, so that no process locks a file that is about to be removed. Windows
    cannot remove an open file: there, a process that locks it in between keeps it.
    """
    if sys.platform == "win32":
        os.close(descriptor)
        with suppress(PermissionError):
            path.unlink(missing_ok=True)
    else:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
