"""Commands of Scrapy in processes that need not start from nothing, as a user's do.

Most of what a short crawl takes is the import of Scrapy, of other libraries and of the project. A
helper has them imported, and forks a process for each command. The streams of this process, its
environment, its folder and how it ends are what they were if it had been started; only what a
module does as it is imported has been done before. Two helpers take turns: a crawl and the next
one must not have the same hashes, by which a set is ordered.
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
    """The one to fork next, or None where a process of this environment starts otherwise.

    So it may with another PYTHONPATH, if there is something by the name of a library.
    """
    read = {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}
    if not AVAILABLE or read != {**_ENVIRONMENT, "PYTHONPATH": str(project)}:
        return None
    if not _helpers:
        _helpers.extend((Helper(), Helper()))
    _helpers.reverse()
    return _helpers[0]


class Helper:
    """A process that forks others, one at a time; it ends with the one that has started it."""

    def __init__(self) -> None:
        self._door, theirs = socket.socketpair()
        with theirs:
            # Neither files nor terminals, just as the streams of the commands.
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
            )
        self._answers = self._door.makefile()
        atexit.register(self._end)

    def _end(self) -> None:
        self._answers.close()
        self._door.close()
        self._process.communicate()

    def run(
        self, words: list[str], env: dict[str, str], cwd: Path, stdin: bytes, timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        """As `subprocess.run`, of ``python -m scrapy`` with these words."""
        deadline = time.monotonic() + timeout
        (stdin_end, write), (out, out_end), (err, err_end) = (os.pipe() for _ in range(3))
        socket.send_fds(self._door, [b"!"], [stdin_end, out_end, err_end])
        self._door.sendall(json.dumps({"words": words, "env": env, "cwd": str(cwd)}).encode())
        self._door.sendall(b"\n")
        for end in (stdin_end, out_end, err_end):
            os.close(end)
        started = self._answers.readline()
        if not started:
            raise RuntimeError(self._process.communicate()[1].decode())
        process = int(started)
        try:
            output, errors = _communicate(write, stdin, out, err, deadline)
            self._door.settimeout(max(0.001, deadline - time.monotonic()))
            status = int(self._answers.readline())
        except TimeoutError as error:
            os.kill(process, signal.SIGKILL)
            self._door.settimeout(None)
            self._answers.readline()
            raise subprocess.TimeoutExpired(words, timeout) from error
        self._door.settimeout(None)
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
