"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from xhs.feeds.folders import folder_error


def output_error(path: Path) -> str | None:
    """Return why a file cannot be written, with its path; None if nothing speaks against it."""
    try:
        if path.exists() and not path.is_file():
            return f"{path} is not a file"
        problem = folder_error(path.parent)
    except (OSError, ValueError) as error:  # such as a name that is too long
        problem = getattr(error, "strerror", None) or str(error)
    return f"{path} cannot be written: {problem}" if problem else None


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file, which replaces ``path`` if the block ends without an exception.

    Otherwise it is removed, and ``path`` stays as it was. A new file is readable by its owner only;
    one that is replaced keeps its mode.

    Raises:
        OSError: if the file cannot be written.
    """
    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".xhs-", suffix=".part", delete=False) as file:
        try:
            yield file  # type: ignore[misc]  # it has all that a BinaryIO has
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                Path(file.name).chmod(path.stat().st_mode)
            file.close()  # Windows replaces closed files only
            Path(file.name).replace(path)
        except BaseException:
            file.close()
            Path(file.name).unlink(missing_ok=True)
            raise
