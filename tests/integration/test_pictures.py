"""The pictures of the documents, and the command that makes them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.documents import DOCS
from support.marks import linux, needs_chromium, needs_embedded

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = DOCS / "pictures"
LARGEST = 150_000
PNG = b"\x89PNG\r\n"


def sizes(folder: Path) -> dict[str, int]:
    """Return the names and sizes of the pictures in a folder."""
    paths = sorted(folder.glob("*.png"))
    assert all(path.read_bytes().startswith(PNG) for path in paths)
    return {path.name: path.stat().st_size for path in paths}


def test_pictures_are_small() -> None:
    shown = sizes(PICTURES)
    assert shown
    assert max(shown.values()) < LARGEST, shown


@linux
@needs_embedded
@needs_chromium
def test_a_command_makes_them(tmp_path: Path) -> None:
    for package in ("rjieba", "playwright"):
        pytest.importorskip(package)
    command = [sys.executable, str(PICTURES / "make.py"), str(tmp_path)]
    subprocess.run(command, check=True, timeout=300)
    assert sizes(tmp_path).keys() == sizes(PICTURES).keys()
