"""A Scrapyd server for tests, and this project deployed to it as a user would."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sysconfig
import time
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from support.crawl import Document, Outcome, environment
from support.simulator import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

MISSING = [name for name in ("scrapyd", "scrapyd_client") if importlib.util.find_spec(name) is None]
"""Parts of Scrapyd that are not installed."""

_SECONDS = 60
_TICK = 0.1
_STARTS = 3
_TARGET = "here"
_DEPLOYED = ("scrapy.cfg", "setup.py", "pyproject.toml", "requirements.txt", "README.md", "xhs")
_DIED = re.compile(r"Process (?:finished|died: exitstatus=(?P<status>\w+)).* job='(?P<job>[^']+)'")
_OPENER = build_opener(ProxyHandler({}))


def script(name: str) -> str:
    """Return a console script of the environment that runs the tests."""
    found = shutil.which(name, path=sysconfig.get_path("scripts"))
    assert found, f"no script {name}"
    return found


def read_lines(path: Path) -> list[Document]:
    """Return the items of a feed in JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def copy_project(folder: Path, change: str = "") -> Path:
    """Copy the project and return the copy, since deploying leaves files behind.

    ``change`` is appended to its settings; then all modules also move within the egg.
    """
    folder.mkdir()
    for name in _DEPLOYED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder)
    if change:
        with (folder / "xhs" / "settings.py").open("a", encoding="utf-8") as settings:
            settings.write(f"\n{change}\n")
        with (folder / "xhs" / "__init__.py").open("a", encoding="utf-8") as first:
            first.write("".join(f"# {number}\n" for number in range(999)))
    return folder


class Scrapyd:
    """A Scrapyd server that runs while the ``with`` block lasts, in a folder of its own.

    Its jobs can import the project from the deployed egg only. ``env`` is added to its environment,
    ``options`` to its configuration. A job that still runs at the end is killed.
    """

    def __init__(self, folder: Path, env: Mapping[str, str | None], **options: str) -> None:
        self.folder = folder
        self.url = ""
        self._home = folder / "home"
        self._journal = folder / "scrapyd.log"
        self._options = options
        self.environment = environment(self._home, **env)
        del self.environment["PYTHONPATH"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True)
        self._journal.touch()
        for _ in range(_STARTS):  # another process may have taken the port
            if self._start():
                return self
        raise AssertionError(f"Scrapyd did not start:\n{self.journal}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        try:
            for job in self.jobs()["running"]:
                self.cancel(job["id"], signal="KILL")
                self.wait(job["id"])
        finally:
            self._process.terminate()
            self._process.wait(_SECONDS)

    @property
    def eggs(self) -> Path:
        """Folder of the deployed eggs; servers may share it."""
        return Path(self._options.get("eggs_dir", self.folder / "eggs"))

    @property
    def journal(self) -> str:
        """The server's own log."""
        return self._journal.read_text(encoding="utf-8")

    def deploy(self, project: Path, *words: str) -> Outcome:
        """Run ``scrapyd-deploy`` in a project, with this server as the user's target."""
        target = f"[deploy:{_TARGET}]\nurl = {self.url}\n"
        (self._home / ".scrapy.cfg").write_text(target, encoding="utf-8")
        outcome = self._scrapyd_deploy(project, _TARGET, *words)
        assert json.loads(outcome.output)["status"] == "ok", outcome
        return outcome

    def build(self, project: Path) -> Path:
        """Build the egg of a project, for quicker repeated deployments."""
        egg = project.with_suffix(".egg")
        self._scrapyd_deploy(project, "--build-egg", str(egg))
        return egg

    def schedule(
        self, settings: Mapping[str, str] | None = None, *, project: str = "xhs", **arguments: str
    ) -> str:
        """Schedule a crawl; return its job's ID."""
        given = [("project", project), ("spider", "comments"), *arguments.items()]
        given += [
            ("setting", f"{name}={value}")
            for name, value in {"LOG_LEVEL": "DEBUG", **(settings or {})}.items()
        ]
        return str(self.call("schedule", given)["jobid"])

    def cancel(self, job: str, *, project: str = "xhs", **more: str) -> str | None:
        """Cancel a job once; return its previous state."""
        given = [("project", project), ("job", job), *more.items()]
        state: str | None = self.call("cancel", given)["prevstate"]
        return state

    def jobs(self) -> dict[str, list[dict[str, Any]]]:
        """Return all jobs by state, as in ``listjobs.json``."""
        answer = self.call("listjobs")
        return {state: answer[state] for state in ("pending", "running", "finished")}

    def state(self, job: str) -> str | None:
        """Return the state of a job."""
        state: str | None = self.call(f"status.json?job={job}")["currstate"]
        return state

    def wait(self, *jobs: str) -> list[Outcome]:
        """Wait until jobs have ended; return their outcomes."""
        deadline = time.monotonic() + _SECONDS
        for job in jobs:
            while self.state(job) != "finished":
                assert time.monotonic() < deadline, f"{job} does not end:\n{self.log(job)}"
                time.sleep(_TICK)
        return [self._outcome(job) for job in jobs]

    def wait_until(self, job: str, happened: Callable[[], bool]) -> None:
        """Wait until ``happened`` is true; fail if the job ends before."""
        deadline = time.monotonic() + _SECONDS
        while not happened():
            assert self.state(job) != "finished", self.log(job)
            assert time.monotonic() < deadline, self.log(job)
            time.sleep(_TICK)

    def run(self, settings: Mapping[str, str] | None = None, **arguments: str) -> Outcome:
        """Schedule a crawl, wait for its end and return the outcome."""
        (done,) = self.wait(self.schedule(settings, **arguments))
        return done

    def log(self, job: str) -> str:
        """Return a job's log; empty if there is none."""
        path = self._path("logs", job, "log")
        return path.read_text(encoding="utf-8") if path else ""

    def items(self, job: str) -> list[Document]:
        """Return a job's items; empty if it has no items file."""
        path = self._path("items", job, "jl")
        return read_lines(path) if path else []

    def call(self, path: str, given: list[tuple[str, str]] | None = None) -> dict[str, Any]:
        """Call Scrapyd and return the answer.

        Raises:
            ValueError: if the answer is an error.
        """
        path = path if ".json" in path else f"{path}.json"
        body = urlencode(given).encode() if given else None
        with _OPENER.open(Request(f"{self.url}{path}", body), timeout=_SECONDS) as response:  # noqa: S310 (its own address)
            answer: dict[str, Any] = json.load(response)
        if answer["status"] != "ok":
            raise ValueError(answer["message"])
        return answer

    def _scrapyd_deploy(self, project: Path, *words: str) -> Outcome:
        done = subprocess.run(
            [script("scrapyd-deploy"), *words],
            cwd=project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        assert done.returncode == 0, outcome
        return outcome

    def _start(self) -> bool:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        options = {
            "bind_address": "127.0.0.1",
            "http_port": port,
            "poll_interval": 0.1,
            "max_proc": 4,
            "jobs_to_keep": 100,  # older logs and items are deleted; the default is 5
            "eggs_dir": self.folder / "eggs",
            "logs_dir": self.folder / "logs",
            "dbs_dir": self.folder / "dbs",
            "items_dir": "",
            **self._options,
        }
        lines = ["[scrapyd]", *(f"{name} = {value}" for name, value in options.items())]
        (self.folder / "scrapyd.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        with self._journal.open("ab") as journal:
            self._process = subprocess.Popen(
                [script("scrapyd")],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=journal,
                stderr=journal,
                umask=0o022,
            )
        deadline = time.monotonic() + _SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self.call("daemonstatus")
            except (URLError, HTTPException, OSError, ValueError):
                time.sleep(_TICK)
            else:
                return True
        self._process.kill()
        self._process.wait()
        return False

    def _outcome(self, job: str) -> Outcome:
        """Return a job's outcome, with its log as the errors. Status -1: ended by a signal."""
        ends = [end["status"] for end in _DIED.finditer(self.journal) if end["job"] == job]
        status = ends[-1] or "0"
        return Outcome(-1 if status == "None" else int(status), "", self.log(job), self.items(job))

    def _path(self, folder: str, job: str, suffix: str) -> Path | None:
        found = list((self.folder / folder).glob(f"*/comments/{job}.{suffix}"))
        return found[0] if found else None
