"""Commands of Scrapy in forked processes, which start faster than new ones.

Most of the time of a short crawl goes into importing Scrapy, other libraries and the project. A
helper process imports them once and forks a process for each command. Streams, environment, folder
and exit status of that process are those of a newly started one. Only its command line is the
helper's, and the side effects of the imports come earlier. Two helpers take turns, so that two
crawls in a row have different hash seeds and therefore different orders of sets.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AVAILABLE = (
    sys.platform == "linux" and hasattr(os, "pidfd_open") and os.environ.get("TESTS_FORK") != "0"
)
_ENVIRONMENT = {"LANG": "C.UTF-8"}
_READ_AT_START = ("LANG", "LC_", "LD_", "MALLOC_", "OPENSSL_", "PYTHON")
_IMPORTED_AT_START = {"sitecustomize", "usercustomize"}
_START = signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")

_helpers: list[Helper] = []


def helper(environment: Mapping[str, str], project: Path) -> Helper | None:
    """Return the helper to fork next, or None if this environment needs a new process."""
    read = {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}
    folders = read.pop("PYTHONPATH", "").split(os.pathsep)
    if not AVAILABLE or read != _ENVIRONMENT or str(project) not in folders:
        return None
    if not all(_only_adds(Path(folder)) for folder in folders if folder != str(project)):
        return None
    if not _helpers:
        _helpers.extend((Helper(), Helper()))
    _helpers.reverse()
    return _helpers[0]


def _only_adds(folder: Path) -> bool:
    """True if no module of the folder takes the place of another, or acts at a process's start."""
    names = {path.stem for path in folder.glob("*.py")}
    names |= {path.parent.name for path in folder.glob("*/__init__.py")}
    return not any(name in _IMPORTED_AT_START or find_spec(name) for name in names)


class Helper:
    """A process that forks others, and ends with the process that started it."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair()
        with theirs:
            # As for the commands, no stream is a file or a terminal.
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
            )
        atexit.register(self.end)

    def end(self) -> str:
        """End the helper, and return its errors; the processes that it has forked go on."""
        self._requests.close()
        return self._process.communicate()[1].decode()

    def fork(self, command: dict[str, Any], streams: list[int]) -> socket.socket:
        """Fork a process; return the connection that brings its ID, and later its wait status."""
        connection, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._requests, [b"!"], [theirs.fileno(), *streams])
        connection.sendall(json.dumps(command).encode() + b"\n")
        return connection


class Forked(subprocess.Popen[bytes]):
    """``python -m scrapy`` with these words, in a process that a helper forks.

    `subprocess.Popen` without its own start and its own wait, which takes a child process.
    """

    def __init__(self, helper: Helper, words: Sequence[str], **options: Any) -> None:
        self._helper = helper
        super().__init__(["scrapy", *words], **options)

    def _execute_child(self, *given: Any) -> None:
        options = _START.bind(self, *given).arguments
        streams = [options[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        command = {
            "words": options["args"][1:],
            "env": options["env"],
            "cwd": str(options["cwd"]),
            "new_session": options["start_new_session"],
        }
        inherited = [own if given < 0 else given for own, given in enumerate(streams)]
        try:
            self._connection = self._helper.fork(command, inherited)
            self.pid = self._receive()
        except (EOFError, OSError) as error:
            raise RuntimeError(self._helper.end()) from error
        self._child_created = True
        self._close_pipe_fds(*(options[name] for name in _PIPES))  # type: ignore[attr-defined]

    def _receive(self) -> int:
        data = self._connection.recv(8, socket.MSG_WAITALL)
        if len(data) < 8:
            raise EOFError
        return int.from_bytes(data, "big")

    def _try_wait(self, flags: int) -> tuple[int, int]:
        timeout = 0 if flags & os.WNOHANG else None
        if not select.select([self._connection], [], [], timeout)[0]:
            return 0, 0
        status = self._receive()
        self._connection.close()
        return self.pid, status

    def _internal_poll(self, **_: Any) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode
