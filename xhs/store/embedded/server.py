"""The embedded MongoDB server, which starts on demand and stops with its last client.

All clients that name the same folder share one server. The server is SecantusDB, always a separate
process and never imported. A supervisor process (:mod:`xhs.store.embedded._supervisor`) runs it.
This module finds or starts the supervisor, and stays connected to it while the server is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from xhs.store.embedded import _supervisor
from xhs.store.lock import take_lock

if TYPE_CHECKING:
    from types import TracebackType

_SCHEME = "embedded:"
_DEFAULT_FOLDER = ".xhs/mongodb"
_JOIN_SECONDS = 5.0

_OTHERWISE = "or point MONGODB_URI at a MongoDB server, or make it empty to crawl without storage"

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_LEAST_SPACE = 1_000_000
"""Bytes of free disk space below which the server cannot write its next journal."""

# The supervisor and its server outlive this process and do not need its secrets.
_NOT_INHERITED = ("JUSTONEAPI_", "XHS_", "MONGODB_", "REDIS_", "AWS_", "PYTHONPATH")


class EmbeddedStoreError(Exception):
    """The embedded server is unavailable. The message is one sentence that says what to do."""


class Lease:
    """A connection string that is valid until :meth:`close` or the end of this process.

    Keep the lease as long as :attr:`uri` is in use. ``uri`` may contain a password: do not log it.
    ``folder`` is the embedded server's, or None for another server.
    """

    folder: Path | None = None

    def __init__(self, uri: str, connection: socket.socket | None = None) -> None:
        self.uri = uri
        self._connection = connection

    @property
    def disk_is_full(self) -> bool:
        """True if the embedded server's disk is full, which it reports as an internal error."""
        return self.folder is not None and _disk_is_full(self.folder)

    def close(self) -> None:
        """Release the server. It stops about a second after its last client is gone."""
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def resolve(uri: str) -> Lease:
    """Turn ``embedded:`` or ``embedded:PATH`` into a MongoDB connection string.

    Any other string is returned unchanged, and nothing is started. The call blocks until the server
    has started, usually for less than a second and at most for 30 s: call it before the reactor
    runs, or in a thread. ``PATH`` is relative to the current directory; ``~`` is the home
    directory.

    Raises:
        EmbeddedStoreError: if the server is not installed, the folder cannot be used, or the server
            does not start.
    """
    if not uri.startswith(_SCHEME):
        return Lease(uri)
    path = uri.removeprefix(_SCHEME) or _DEFAULT_FOLDER
    folder = Path(os.path.realpath(os.path.expanduser(path)))  # noqa: PTH111
    if not is_installed():
        raise EmbeddedStoreError(
            "the embedded store needs SecantusDB, which is not installed: install it (CPython 3.10 "
            "to 3.13 on Linux x86_64 or aarch64, macOS arm64, Windows amd64), " + _OTHERWISE
        )
    deadline = time.monotonic() + _supervisor.START_SECONDS
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        lease = _join_or_start(folder, deadline)
        lease.folder = folder
    except OSError as error:
        raise EmbeddedStoreError(_unusable(folder, error)) from error
    try:
        _ping(folder, lease.uri, deadline)
    except EmbeddedStoreError as error:
        lease.close()
        if lease.disk_is_full:
            raise EmbeddedStoreError(_unusable(folder, OSError(errno.ENOSPC, ""))) from error
        raise
    except BaseException:
        lease.close()
        raise
    return lease


def is_installed() -> bool:
    """True if the embedded server's package is installed."""
    return importlib.util.find_spec("secantus") is not None


def _unusable(folder: Path, error: OSError) -> str:
    message = f"the embedded store cannot use the folder {folder}: "
    if error.errno in _NO_SPACE:
        return message + f"the disk is full; free some space, {_OTHERWISE}"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return message + "it or one of its parents is a file; name another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return message + "it is not writable; name another folder, or change its permissions"
    return message + f"{error.strerror or error}; name another folder, {_OTHERWISE}"


def _join_or_start(folder: Path, deadline: float) -> Lease:
    # Only one process starts a supervisor at a time; the next one finds it running. The lock is
    # released with the process that holds it, also if that is killed.
    lock = take_lock(folder / "start.lock", deadline)
    if lock is None:
        raise EmbeddedStoreError(
            f"another process has been starting the embedded store on {folder} for too long: "
            f"end it and try again, {_OTHERWISE}"
        )
    try:
        return _join(folder) or _start(folder, deadline)
    finally:
        os.close(lock)


def _join(folder: Path) -> Lease | None:
    """Connect to the folder's supervisor; None if there is none, or it does not answer."""
    connection = None
    try:
        state = json.loads((folder / _supervisor.STATE).read_text(encoding="utf-8"))
        address = (_supervisor.LOOPBACK, int(state["port"]))
        connection = socket.create_connection(address, _JOIN_SECONDS)
        connection.sendall(state["token"].encode() + b"\n")
        with connection.makefile("rb") as answer:
            greeting = json.loads(answer.readline(4096))
        connection.settimeout(None)
        return Lease(greeting["uri"], connection)
    except (OSError, ValueError, KeyError, TypeError):
        if connection is not None:
            connection.close()
        return None


def _start(folder: Path, deadline: float) -> Lease:
    log_file = folder / _supervisor.LOG
    process = _spawn(folder, log_file)
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        lease = _join(folder)
        if lease is not None:
            # Wait for the process in a thread, or it becomes a zombie when it ends.
            threading.Thread(target=process.wait, daemon=True).start()
            return lease
        if ended:
            raise EmbeddedStoreError(_not_started(folder, log_file))
        time.sleep(0.02)
    process.terminate()
    raise EmbeddedStoreError(_not_started(folder, log_file))


def _spawn(folder: Path, log_file: Path) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
    # A project is often importable only from the directory in which its command was started.
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    # A separate session: an interrupt from the terminal must not stop the server, since the crawl
    # still has to write its pending items. No inherited streams: a process that reads this one's
    # output must see it end.
    detached = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(
        subprocess, "CREATE_NEW_PROCESS_GROUP", 0
    )
    with log_file.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "xhs.store.embedded._supervisor", str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            creationflags=detached,
        )


def _not_started(folder: Path, log_file: Path) -> str:
    if _disk_is_full(folder):
        return _unusable(folder, OSError(errno.ENOSPC, ""))
    lines = _end_of(log_file).splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")
    return f"the embedded store did not start on {folder} ({last}): see {log_file}, {_OTHERWISE}"


def _disk_is_full(folder: Path) -> bool:
    """Check the server's log and the disk: a full disk may have had no room for the log."""
    logged = _end_of(folder / _supervisor.LOG)
    if any(os.strerror(number) in logged for number in _NO_SPACE):
        return True
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _LEAST_SPACE
    return False


def _end_of(log_file: Path) -> str:
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - 1_000_000))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _ping(folder: Path, uri: str, deadline: float) -> None:
    # Not the blocking client: it delays the end of this process by half a second for its threads.
    timeout_ms = max(1, int((deadline - time.monotonic()) * 1000))
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_list_databases(uri, timeout_ms))
    except PyMongoError as error:
        reason = str(error).split(", full error")[0]
        raise EmbeddedStoreError(
            f"the embedded store on {folder} does not answer ({reason}): "
            f"see {folder / _supervisor.LOG}, {_OTHERWISE}"
        ) from error
    finally:
        loop.close()


async def _list_databases(uri: str, timeout_ms: int) -> None:
    async with AsyncMongoClient[dict[str, object]](
        uri, serverSelectionTimeoutMS=timeout_ms
    ) as client:
        # Names only: for the sizes, the server would read every document that it holds.
        await client.admin.command("listDatabases", nameOnly=True)
