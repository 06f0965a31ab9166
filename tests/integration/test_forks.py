"""Commands that `support.forks` starts behave like a user's commands."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import forks
from support.crawl import environment, scrapy
from support.simulator import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.skipif(not forks.AVAILABLE, reason="nothing is forked here")

CODE = {
    "shows what it was given": """
import os, signal, sys, time, random
print(sys.argv, sys.orig_argv, sys.path, os.getcwd(), sorted(os.environ.items()), time.tzname)
print(sorted(os.listdir("/proc/self/fd")), sys.flags, sys.stdin.read())
print([signal.getsignal(one) for one in signal.Signals], os.getpgid(0))
for stream in sys.stdin, sys.stdout, sys.stderr:
    print(stream.encoding, stream.errors, stream.line_buffering, stream.seekable())
print([one for one in sys.modules if one.startswith("twisted.internet.reactor")])
""",
    "is killed": "import os; os.kill(os.getpid(), 9)",
    "is interrupted": "import os; os.kill(os.getpid(), 2)",
    "says why it ends": "raise SystemExit('for a reason')",
    "goes wrong": "1 / 0",
    "says much and hears nothing": """
import atexit, sys
atexit.register(print, "the last word")
print("output" * 50_000)
print("error" * 50_000, file=sys.stderr)
""",
}
SPIDER = "\nfrom scrapy import Spider\n\nclass Own(Spider):\n    name = 'own'\n"


@pytest.mark.parametrize("case", CODE)
def test_a_forked_command_is_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    (tmp_path / "own.py").write_text(CODE[case] + SPIDER)
    variables = environment(tmp_path, TZ="Asia/Shanghai", OWN="一")
    words = "runspider", str(tmp_path / "own.py"), "--nolog"
    asked = "in" * 50_000
    forked = scrapy(*words, environment=variables, cwd=tmp_path, stdin=asked)
    monkeypatch.setattr(forks, "AVAILABLE", False)
    begun = scrapy(*words, environment=variables, cwd=tmp_path, stdin=asked)
    assert (forked.status, forked.output) == (begun.status, begun.output)
    # A traceback above it differs: it begins where the process began.
    assert forked.errors.splitlines()[-1:] == begun.errors.splitlines()[-1:]


def test_a_forked_command_that_hangs_is_killed(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import os, time; print(os.getpid()); time.sleep(600)")
    variables = environment(tmp_path)
    words = ["runspider", str(tmp_path / "own.py")]
    helper = forks.helper(variables, PROJECT)
    assert helper
    with pytest.raises(subprocess.TimeoutExpired):
        helper.run(words, variables, tmp_path, b"", 2)
    done = helper.run(["version"], variables, tmp_path, b"", 60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Scrapy ")


@pytest.mark.parametrize(
    "more", [{"PYTHONWARNINGS": "error"}, {"PYTHONPATH": "elsewhere"}, {"LC_ALL": "C"}]
)
def test_what_acts_as_a_process_starts_is_not_forked(
    tmp_path: Path, more: Mapping[str, str]
) -> None:
    assert forks.helper({**environment(tmp_path), **more}, PROJECT) is None


def test_crawls_in_turn_differ_in_their_hashes(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("print(hash('a text'))" + SPIDER)
    variables = environment(tmp_path)
    words = "runspider", str(tmp_path / "own.py"), "--nolog"
    first, second = (scrapy(*words, environment=variables).output for _ in range(2))
    assert first != second
