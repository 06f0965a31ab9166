"""Commands that `support.forks` starts behave like a user's commands."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import crawl, forks
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


WAITS = """
import os, signal, sys, time
print(os.getpid(), os.getsid(0) == os.getpid(), flush=True)
if "{ends}" == "at SIGTERM":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
time.sleep(600)
"""


def start(folder: Path, ends: str = "by SIGTERM", **options: Any) -> subprocess.Popen[bytes]:
    """Fork a command that prints its ID, and whether it has a session of its own, and waits."""
    (folder / "own.py").write_text(WAITS.replace("{ends}", ends) + SPIDER)
    process = crawl.start(
        "runspider",
        str(folder / "own.py"),
        environment=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )
    assert isinstance(process, forks.Forked)
    return process


def own_words(process: subprocess.Popen[bytes]) -> list[bytes]:
    """Wait until a process waits; return what it has printed."""
    assert process.stdout
    return process.stdout.readline().split()


def test_forked_commands_run_and_end_beside_each_other(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(4)]
    for process in processes:
        assert own_words(process) == [b"%d" % process.pid, b"False"]
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
    between = scrapy("version", environment=environment(tmp_path))
    assert (between.status, between.output[:7]) == (0, "Scrapy ")
    for process in processes[::-1]:
        process.terminate()
        assert process.wait() == process.poll() == -signal.SIGTERM
    for process in processes:
        process.kill()
        assert process.communicate()[0] == b""
        assert process.returncode == -signal.SIGTERM


def test_a_forked_command_handles_signals_and_has_a_session_of_its_own(tmp_path: Path) -> None:
    with start(tmp_path, "at SIGTERM", start_new_session=True) as process:
        assert own_words(process) == [b"%d" % process.pid, b"True"]
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait() == 7


def test_a_forked_command_that_hangs_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawl, "_PATIENCE", 0.1)
    (tmp_path / "own.py").write_text("import time; time.sleep(600)")
    with pytest.raises(subprocess.TimeoutExpired):
        scrapy("runspider", str(tmp_path / "own.py"), environment=environment(tmp_path))
    monkeypatch.undo()
    assert scrapy("version", environment=environment(tmp_path)).status == 0


@pytest.mark.parametrize(
    "more",
    [
        {"PYTHONWARNINGS": "error"},
        {"PYTHONPATH": "elsewhere"},
        {"PYTHONPATH": f"{PROJECT}:{{}}/hides"},
        {"PYTHONPATH": f"{PROJECT}:{{}}/acts"},
        {"LC_ALL": "C"},
    ],
)
def test_what_acts_as_a_process_starts_is_not_forked(
    tmp_path: Path, more: Mapping[str, str]
) -> None:
    for module in ("hides/boto3.py", "hides/json/__init__.py", "acts/sitecustomize.py"):
        (tmp_path / module).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / module).touch()
    given = {name: value.replace("{}", str(tmp_path)) for name, value in more.items()}
    assert forks.helper({**environment(tmp_path), **given}, PROJECT) is None


def test_a_forked_command_imports_a_users_module(tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    (tmp_path / "own.py").write_text(f"import users_module; print(users_module.NAME){SPIDER}")
    variables = {**environment(tmp_path), "PYTHONPATH": f"{folder}:{PROJECT}"}
    for name in ("first", "second"):
        (folder / "users_module.py").write_text(f"NAME = {name!r}  # {'longer' * len(name)}")
        assert forks.helper(variables, PROJECT)
        words = "runspider", str(tmp_path / "own.py"), "--nolog"
        assert scrapy(*words, environment=variables).output == f"{name}\n"


def test_crawls_in_turn_differ_in_their_hashes(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("print(hash('a text'))" + SPIDER)
    variables = environment(tmp_path)
    words = "runspider", str(tmp_path / "own.py"), "--nolog"
    first, second = (scrapy(*words, environment=variables).output for _ in range(2))
    assert first != second
