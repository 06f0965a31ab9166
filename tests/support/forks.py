"""Commands of Scrapy in forked processes, which start faster than new ones.

Most of the time of a short crawl goes into importing Scrapy, other libraries and the project. A
helper process imports them once and forks a process for each command. Streams, environment, folder
and exit status of that process are those of a newly started one; only the side effects of the
imports come earlier. Two helpers take turns, so that two crawls in a row have different hash seeds
and therefore different orders of sets.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

AVAILABLE = sys.platform == "linux" and os.environ.get("TESTS_FORK") != "0"
_ENVIRONMENT = {"LANG": "C.UTF-8"}
_READ_AT_START = ("LANG", "LC_", "LD_", "MALLOC_", "OPENSSL_", "PYTHON")

_helpers: list[Helper] = []


def helper(environment: Mapping[str, str], project: Path) -> Helper | None:
    """Return the helper to fork next, or None if this environment needs a new process.

    With another PYTHONPATH, for example, a module of a library's name may take its place.
    """
    read = {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}
    if not AVAILABLE or read != {**_ENVIRONMENT, "PYTHONPATH": str(project)}:
        return None
    if not _helpers:
        _helpers.extend((Helper(), Helper()))
    _helpers.reverse()
    return _helpers[0]


class Helper:
    """A process that forks others, one at a time, and ends with the process that started it."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        with theirs:
            # As for the commands, no stream is a file or a terminal.
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
            )
        self._answers = self._connection.makefile()
        atexit.register(self._end)

    def _end(self) -> None:
        self._answers.close()
        self._connection.close()
        self._process.communicate()

    def run(
        self, words: list[str], env: dict[str, str], cwd: Path, stdin: bytes, timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``python -m scrapy`` with these words, as `subprocess.run` does."""
        deadline = time.monotonic() + timeout
        (stdin_end, write), (out, out_end), (err, err_end) = (os.pipe() for _ in range(3))
        socket.send_fds(self._connection, [b"!"], [stdin_end, out_end, err_end])
        self._connection.sendall(json.dumps({"words": words, "env": env, "cwd": str(cwd)}).encode())
        self._connection.sendall(b"\n")
        for end in (stdin_end, out_end, err_end):
            os.close(end)
        started = self._answers.readline()
        if not started:
            raise RuntimeError(self._process.communicate()[1].decode())
        process = int(started)
        try:
            output, errors = _communicate(write, stdin, out, err, deadline)
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            status = int(self._answers.readline())
        except TimeoutError as error:
            os.kill(process, signal.SIGKILL)
            self._connection.settimeout(None)
            self._answers.readline()
            raise subprocess.TimeoutExpired(words, timeout) from error
        self._connection.settimeout(None)
        return subprocess.CompletedProcess(words, status, output, errors)


def _communicate(
    write: int, data: bytes, out: int, err: int, deadline: float
) -> tuple[bytes, bytes]:
    """Write to one pipe, and read two others to their ends."""
    read = {out: b"", err: b""}
    with selectors.DefaultSelector() as open_ends:
        open_ends.register(write, selectors.EVENT_WRITE)
        for end in read:
            open_ends.register(end, selectors.EVENT_READ)
        while open_ends.get_map():
            ready = open_ends.select(deadline - time.monotonic())
            if time.monotonic() > deadline:
                raise TimeoutError
            for key, _ in ready:
                if key.fd == write:
                    try:
                        data = data[os.write(write, data[: select.PIPE_BUF]) :]
                    except BrokenPipeError:
                        data = b""
                    more = data
                else:
                    more = os.read(key.fd, 1 << 16)
                    read[key.fd] += more
                if not more:
                    open_ends.unregister(key.fd)
                    os.close(key.fd)
    return read[out], read[err]
