"""A lock that goes with the process that holds it."""

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
    """Wait for the lock on ``path`` until ``deadline`` (monotonic); its descriptor, or None.

    The lock belongs to the open file and goes with the process that opened it, so a file that a
    killed process left behind is no lock. Nor is one that its holder has removed meanwhile.

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
        if _is_there(descriptor, path):
            return descriptor
        os.close(descriptor)


def drop_lock(path: Path, descriptor: int) -> None:
    """Give a lock back, and remove its file.

    The file goes first, so that nobody takes the lock on one that is about to go. Windows removes
    no open file; there whoever comes between keeps it.
    """
    if sys.platform == "win32":
        os.close(descriptor)
        with suppress(PermissionError):
            path.unlink(missing_ok=True)
    else:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _is_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
