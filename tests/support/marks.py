"""Reasons to skip tests on a machine."""

import importlib.util
import os
import shutil
import sys

import pytest

EMBEDDED_MISSING = importlib.util.find_spec("secantus") is None
needs_embedded = pytest.mark.skipif(EMBEDDED_MISSING, reason="SecantusDB is not installed")
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals only")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ,
    reason="needs Chromium: apt-get install chromium fonts-noto-cjk",
)
