"""A check that a folder can be written to, before anything is paid for."""

from __future__ import annotations

import os
from pathlib import Path


def folder_error(folder: Path) -> str | None:
    """Return why a folder cannot be written to; None if it can. It need not exist yet."""
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        return f"{existing} is not a folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"{existing} cannot be written"
    return None
